"""Compiled models to files in memory. Pure: nothing here writes to disk."""

from tinycast.emit.c import emit_c
from tinycast.emit.manifest import seal
from tinycast.emit.names import c_identifier

__all__ = ["c_identifier", "emit_c", "seal"]
