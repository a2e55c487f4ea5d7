"""Where `runtime_c`, `templates` and `targets` are: inside an installed wheel, or at the root of a checkout."""

from __future__ import annotations

from pathlib import Path

from tinycast.errors import InternalError

_PACKAGE = Path(__file__).resolve().parent


def resource_dir(name: str) -> Path:
    """Return the folder `name` ("runtime_c", "templates" or "targets")."""
    for root in (_PACKAGE, _PACKAGE.parent.parent):
        if (root / name).is_dir():
            return root / name
    raise InternalError(f"the folder {name!r} is missing from this installation", fix="reinstall tinycast")
