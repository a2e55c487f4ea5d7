"""Packages: what is added to the generated files for a build system, and how they get to disk."""

from tinycast.package.formats import FORMATS, Format, choose_format, package
from tinycast.package.write import check_output_folder, read_artifact, write_artifact

__all__ = [
    "FORMATS",
    "Format",
    "check_output_folder",
    "choose_format",
    "package",
    "read_artifact",
    "write_artifact",
]
