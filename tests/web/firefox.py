"""Firefox by WebDriver BiDi: Playwright drives only a Firefox of its own, which no package registry has."""

from __future__ import annotations

import json
import re
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import websocket

_TIMEOUT_SECONDS = 60


class Firefox:
    """A running Firefox (https://w3c.github.io/webdriver-bidi)."""

    def __init__(self, address: str) -> None:
        # Firefox answers programs only, not pages: those send an origin.
        self._socket = websocket.create_connection(address, timeout=_TIMEOUT_SECONDS, suppress_origin=True)
        self._sent = 0
        self.call("session.new", capabilities={})

    def call(self, method: str, **parameters: Any) -> Any:
        """The result of a command; RuntimeError with Firefox's message where it fails."""
        self._sent += 1
        self._socket.send(json.dumps({"id": self._sent, "method": method, "params": parameters}))
        answer = json.loads(self._socket.recv())
        if answer["type"] == "error":
            raise RuntimeError(answer["message"])
        return answer["result"]


class FirefoxPage:
    """A tab, with what the tests use of Playwright's `Page`."""

    def __init__(self, firefox: Firefox) -> None:
        self._firefox = firefox
        self._context = firefox.call("browsingContext.create", type="tab")["context"]

    def goto(self, url: str) -> None:
        self._firefox.call("browsingContext.navigate", context=self._context, url=url, wait="complete")

    def evaluate(self, function: str, argument: Any = None) -> Any:
        """What the function of JavaScript gives, or its promise; RuntimeError with the message where it throws."""
        told = self._firefox.call(
            "script.callFunction",
            functionDeclaration=f"async (text) => JSON.stringify((await ({function})(JSON.parse(text))) ?? null)",
            arguments=[{"type": "string", "value": json.dumps(argument)}],
            target={"context": self._context},
            awaitPromise=True,
        )
        if told["type"] == "exception":
            raise RuntimeError(told["exceptionDetails"]["text"])
        return json.loads(told["result"]["value"])

    def draw(self, places: list[tuple[float, float]]) -> None:
        """Press the mouse at the first place, in pixels of the viewport, move to the others, and let it go."""
        moves = [{"type": "pointerMove", "x": round(x), "y": round(y), "duration": 20} for x, y in places]
        down, up = ({"type": f"pointer{name}", "button": 0} for name in ("Down", "Up"))
        mouse = {"type": "pointer", "id": "mouse", "actions": [moves[0], down, *moves[1:], up]}
        self._firefox.call("input.performActions", context=self._context, actions=[mouse])

    def close(self) -> None:
        self._firefox.call("browsingContext.close", context=self._context)


@contextmanager
def start_firefox(path: str) -> Iterator[Firefox]:
    with tempfile.TemporaryDirectory() as profile:
        command = [path, "--headless", "--no-remote", "--profile", profile, "--remote-debugging-port", "0"]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
            try:
                assert process.stderr is not None
                found = (re.search(r"WebDriver BiDi listening on (ws://\S+)", line) for line in process.stderr)
                address = next((match[1] for match in found if match), None)
                if address is None:
                    raise RuntimeError(f"{path} ended before it listened")
                yield Firefox(f"{address}/session")
            finally:
                process.terminate()
                process.wait(_TIMEOUT_SECONDS)
