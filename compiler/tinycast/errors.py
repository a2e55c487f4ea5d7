"""What a user sees when something is wrong: one line of what, one of where, one of what to do."""

from __future__ import annotations

from typing import ClassVar


class TinycastError(Exception):
    """A failure that the user can act on.

    `what` says what is wrong, `where` names the node, attribute, file or option, `fix` says what to
    do next. `exit_code` is the process's exit status (DESIGN section 8).
    """

    exit_code: ClassVar[int] = 70
    # Where one error lists several: each by itself.
    causes: tuple[TinycastError, ...] = ()

    def __init__(self, what: str, *, where: str = "", fix: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.where = where
        self.fix = fix

    def __str__(self) -> str:
        lines = [self.what]
        if self.where:
            lines.append(f"  where: {self.where}")
        if self.fix:
            lines.append(f"  fix:   {self.fix}")
        return "\n".join(lines)


class ModelError(TinycastError):
    """The model cannot be compiled."""

    exit_code = 1


class FitError(TinycastError):
    """The compiled model does not fit the RAM or flash it was given."""

    exit_code = 1


class UsageError(TinycastError):
    """A bad option, or input that cannot be read."""

    exit_code = 2


class VerificationError(TinycastError):
    """Outputs differ where they must not."""

    exit_code = 3


class ToolMissingError(TinycastError):
    """A compiler or emulator is not installed; `fix` says how to install it."""

    exit_code = 4


class InternalError(TinycastError):
    """A broken invariant: a bug in tinycast."""

    exit_code = 70
