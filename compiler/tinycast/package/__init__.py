"""Packages: what is added to the generated files for a build system, and how they get to disk."""

from tinycast.package.formats import FORMATS, Format, package
from tinycast.package.write import read_artifact, write_artifact

__all__ = ["FORMATS", "Format", "package", "read_artifact", "write_artifact"]
