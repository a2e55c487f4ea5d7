"""A web server on loopback, for the pages of `--format web`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import PurePosixPath
from urllib.parse import unquote, urlsplit

from tinycast.errors import UsageError

HOST = "127.0.0.1"
_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".mjs": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".wasm": "application/wasm",  # browsers compile nothing else while it arrives
}


def make_server(
    read: Callable[[str], bytes | None], port: int, headers: Mapping[str, str] | None = None
) -> ThreadingHTTPServer:
    """Return a server of the files that `read` gives by path ("index.html" for "/"); None is answered by 404.

    It listens on 127.0.0.1 only; port 0 takes a free one. `headers` are added to every answer. Raises UsageError if
    the port is taken.
    """

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True  # else the body waits for the headers to be acknowledged, for 40 ms

        def do_GET(self) -> None:
            path = unquote(urlsplit(self.path).path).removeprefix("/") or "index.html"
            content = read(path)
            self.send_response(200 if content is not None else 404)
            self.send_header("Content-Type", _TYPES.get(PurePosixPath(path).suffix, "application/octet-stream"))
            self.send_header("Content-Length", str(len(content or b"")))
            self.send_header("Cache-Control", "no-store")
            for name, value in (headers or {}).items():
                self.send_header(name, value)
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(content or b"")

        do_HEAD = do_GET  # noqa: N815

        def log_message(self, format: str, *args: object) -> None:
            """Requests are not worth telling."""

    try:
        return ThreadingHTTPServer((HOST, port), Handler)
    except (OSError, OverflowError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise UsageError(f"port {port} cannot be used: {reason}", where="--port", fix="choose another port") from error
