"""tinycast serve"""

from __future__ import annotations

from pathlib import Path

import click

from tinycast.cli.common import PATH, Output, output_options
from tinycast.errors import UsageError
from tinycast.execute.serve import HOST, make_server
from tinycast.package import read_artifact


@click.command("serve")
@click.argument("folder", metavar="DIR", type=PATH)
@click.option("--port", type=click.IntRange(0, 65535), default=8000, show_default=True, help="0 takes a free one.")
@output_options
def command(folder: Path, port: int, output: Output) -> None:
    """Serve the page of a model compiled with `--format web`, to this machine only, until Ctrl-C."""
    if "index.html" not in read_artifact(folder).files:
        raise UsageError("the folder has no page", where=str(folder), fix="compile the model with --format web")
    # Read again for each request, so that the page of a model compiled anew is there on reload.
    server = make_server(lambda path: read_artifact(folder).files.get(path), port)
    url = f"http://{HOST}:{server.server_port}/"
    output.show({"url": url}, f"{url} shows {folder}. Stop with Ctrl-C.")
    with server:
        server.serve_forever()
