"""The targets and the choice of what runs them."""

from __future__ import annotations

import pytest
from tinycast.errors import ToolMissingError, UsageError
from tinycast.execute.select import driver_for, drivers_of
from tinycast.target.load import all_targets, load_target
from tinycast.target.types import Platform

NAMES = [target.name for target in all_targets()]


def test_every_promised_target_is_there() -> None:
    promised = "cortex-m0plus cortex-m3 cortex-m4 cortex-m7 cortex-m33 cortex-m55 host rv32imc wasm32 wasm32-scalar"
    promised += " atmega328p atmega1284p atmega2560"
    assert set(promised.split()) <= set(NAMES)
    assert sorted(NAMES) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_fields_agree_with_each_other(name: str) -> None:
    target = load_target(name)
    assert target.name == name
    assert target.runtime[-1] == "generic"
    assert target.arena_align % target.buffer_align == 0
    assert target.accumulators > 0
    bare = target.platform in (Platform.ARM_M, Platform.RISCV)
    assert bare == (target.flash_bytes > 0 and target.ram_bytes > 0) == bool(target.qemu)
    assert bool(target.gcc) == (bare or target.platform is Platform.AVR)
    assert bool(target.simavr) == bool(target.constant_qualifier) == (target.platform is Platform.AVR)
    assert drivers_of(target)


def test_unknown_target_names_the_closest() -> None:
    with pytest.raises(UsageError, match="unknown target 'cortex-m44'") as caught:
        load_target("cortex-m44")
    assert "cortex-m4" in caught.value.fix
    with pytest.raises(UsageError) as caught:
        load_target("zzz")
    assert "wasm32" in caught.value.fix


def test_preferred_driver_must_run_the_target() -> None:
    assert driver_for(load_target("cortex-m4"), "unicorn").name == "unicorn"
    with pytest.raises(UsageError, match="'unicorn' does not run cortex-m55"):
        driver_for(load_target("cortex-m55"), "unicorn")


def test_driver_without_programs_on_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    assert driver_for(load_target("cortex-m4")).name == "unicorn"
    assert driver_for(load_target("wasm32")).name == "wasmtime"
    assert driver_for(load_target("host")).name == "host"
    with pytest.raises(ToolMissingError, match="qemu-system-riscv32") as caught:
        driver_for(load_target("rv32imc"))
    assert caught.value.exit_code == 4
    assert "apt install qemu-system-misc" in caught.value.fix
