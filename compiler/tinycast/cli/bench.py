"""tinycast bench"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import click

from tinycast.cli.choices import memory_options, network_options, tuning_option
from tinycast.cli.common import Output, model_argument, output_options, target_option
from tinycast.execute.cycles import error_of_estimate
from tinycast.execute.inputs import random_inputs
from tinycast.execute.select import driver_for
from tinycast.pipeline import CompileOptions, compile_file
from tinycast.report.peers import network_of, peers_of
from tinycast.report.tables import bench_tables
from tinycast.target.load import load_target


@click.command("bench")
@model_argument
@target_option
@click.option("--on", "driver_name", help="What runs it, where there is a choice: see `tinycast targets`.")
@network_options
@memory_options
@tuning_option
@output_options
def command(
    model: Path,
    target: str,
    driver_name: str | None,
    options: CompileOptions,
    output: Output,
) -> None:
    """Compile MODEL for a target, run one inference, and show what it takes, by layer.

    Instructions are counted by the emulator; cycles are estimated from them for memory without wait states; RAM is
    arena, data and measured stack; flash is that of a linked program that does nothing else. What a target has no
    counter for is null (-). Where the network is one of MLPerf Tiny's, known by its weights, what others need for it
    stands below.
    """
    core = load_target(target)
    driver = driver_for(core, driver_name)
    with output.progress() as tell:
        tell(f"compiling for {target}", 0, 3)
        artifact = compile_file(model, target, options)
        manifest, inputs = artifact.manifest, random_inputs(artifact.manifest, 1)
        tell(f"running on {driver.name}", 1, 3)
        measured = driver.run(artifact.files, manifest, inputs)
        tell(f"running on {driver.name}, layer by layer", 2, 3)
        # A build of its own: the marks between layers keep the compiler from moving code across them.
        profile = driver.run(artifact.files, manifest, inputs, profile=True)
    sizes, stack_bytes = measured.sizes, measured.stack_bytes
    ram_bytes = None
    if sizes is not None and stack_bytes is not None:
        ram_bytes = manifest["arena_bytes"] + sizes.data_bytes + sizes.bss_bytes + stack_bytes
    network = network_of(model)
    layers = [
        {
            **{key: layer[key] for key in ("name", "op", "macs")},
            "instructions": profile.layer_instructions[index] if profile.layer_instructions else None,
            "cycles_estimate": profile.layer_cycles[index] if profile.layer_cycles else None,
            "scratch_bytes": layer["scratch_bytes"],
        }
        for index, layer in enumerate(manifest["layers"])
    ]
    data = {
        "name": manifest["name"],
        "target": target,
        "driver": driver.name,
        "instructions": measured.instructions,
        "cycles_estimate": measured.cycles_estimate,
        "cycles_error": error_of_estimate(core),
        "arena_bytes": manifest["arena_bytes"],
        "stack_bytes": stack_bytes,
        "ram_bytes": ram_bytes,
        "flash_bytes": sizes.flash_bytes if sizes else None,
        "text_bytes": sizes.text_bytes if sizes else None,
        "weights_bytes": manifest["weights_bytes"],
        "macs": manifest["macs"],
        "segments": manifest["memory"]["segments"],
        "regions": manifest["memory"]["regions"],
        "layers": layers,
        "rest": {
            "instructions": _rest(measured.instructions, profile.layer_instructions),
            "cycles_estimate": _rest(measured.cycles_estimate, profile.layer_cycles),
        },
        "network": network,
        "peers": [asdict(peer) for peer in peers_of(network, target)],
    }
    output.show(data, *bench_tables(data))


def _rest(total: int | None, layers: Sequence[int] | None) -> int | None:
    """What no layer takes: the call, and what the marks between layers shift."""
    return None if total is None or layers is None else total - sum(layers)
