"""A real browser for tests: headless Chromium through chromedriver's own wire protocol.

The W3C WebDriver protocol is a dozen JSON calls; a client library would bring a manager that
downloads browsers. Nothing is downloaded here: where Chromium or its driver is not installed
(`apt-get install chromium chromium-driver`), `installed` says so and the tests skip.

Source: https://www.w3.org/TR/webdriver2/, sections 8 to 17.
"""

from __future__ import annotations

import shutil
import socket
import subprocess
from base64 import b64decode
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import httpx

BROWSERS: Final = ("chromium", "chromium-browser", "google-chrome")
FLAGS: Final = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
WITHIN_S: Final = 30.0  # for any answer; a loaded machine may be slow, a right page is not
KEYS: Final = {"Enter": "\ue007", "Escape": "\ue00c", "Left": "\ue012", "Right": "\ue014"}


def missing() -> str | None:
    """Say what is not installed; None where a browser can be started."""
    if not any(map(shutil.which, BROWSERS)):
        return "Chromium is not installed (Debian: apt-get install chromium chromium-driver)"
    if not shutil.which("chromedriver"):
        return "chromedriver is not installed (Debian: apt-get install chromium-driver)"
    return None


class Browser:
    """One page of a running browser."""

    def __init__(self, http: httpx.Client, session: str) -> None:
        self._http = http
        self._session = session

    def call(self, path: str, body: dict[str, Any] | None = None, verb: str = "POST") -> Any:
        """Make one call of the protocol; an error of it is raised with its message."""
        url = f"/session/{self._session}/{path}".rstrip("/")
        answer = self._http.request(verb, url, json=body if verb == "POST" else None)
        value = answer.json()["value"]
        assert answer.is_success, value["message"]
        return value

    def open(self, url: str) -> None:
        self.call("url", {"url": url})

    def run(self, script: str, *arguments: Any) -> Any:
        """Run a script in the page; its `return` comes back."""
        return self.call("execute/sync", {"script": script, "args": list(arguments)})

    def wait(self, condition: str, *arguments: Any) -> None:
        """Wait until an expression over `arguments` holds in the page, or fail."""
        script = (
            "const [given, done] = [[...arguments].slice(0, -1), arguments[arguments.length - 1]];"
            f"const holds = (...args) => {condition};"
            "const look = () => holds(...given) ? done(true) : requestAnimationFrame(look); look();"
        )
        try:
            self.call("execute/async", {"script": script, "args": list(arguments)})
        except AssertionError as error:
            shown = self.run("return document.body.innerText")
            raise AssertionError(f"never came true: {condition}\n{shown}") from error

    def press(self, key: str) -> None:
        """Press and let go of one key."""
        value = KEYS.get(key, key)
        actions = [{"type": kind, "value": value} for kind in ("keyDown", "keyUp")]
        keyboard = {"type": "key", "id": "keyboard", "actions": actions}
        self.call("actions", {"actions": [keyboard]})

    def hover(self, x: int, y: int) -> None:
        """Move the pointer to a place of the view."""
        move = {"type": "pointerMove", "duration": 0, "x": x, "y": y}
        self.call("actions", {"actions": [{"type": "pointer", "id": "mouse", "actions": [move]}]})

    def text(self, selector: str) -> str:
        return str(self.run("return document.querySelector(arguments[0]).textContent", selector))

    def resize(self, width: int, height: int) -> None:
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self.devtools("Emulation.setDeviceMetricsOverride", **metrics)

    def prefer(self, scheme: str) -> None:
        """Let the page see a reader who prefers `light` or `dark`."""
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.devtools("Emulation.setEmulatedMedia", features=features)

    def devtools(self, command: str, **parameters: Any) -> Any:
        return self.call("goog/cdp/execute", {"cmd": command, "params": parameters})

    def errors(self) -> list[str]:
        """Return what the page complained of since last asked: scripts, policy, failed loads."""
        entries = self.call("se/log", {"type": "browser"})
        return [entry["message"] for entry in entries if entry["level"] == "SEVERE"]

    def shot(self, file: Path) -> None:
        """Keep a picture of the view."""
        file.write_bytes(b64decode(self.call("screenshot", verb="GET")))


@contextmanager
def browser(profile: Path) -> Iterator[Browser]:
    """Start a browser with a new profile folder; it and its driver end with the block."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    binary = next(path for path in map(shutil.which, BROWSERS) if path)
    driver = subprocess.Popen(
        [str(shutil.which("chromedriver")), f"--port={port}"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        transport = httpx.HTTPTransport(retries=8)  # until the driver listens
        with httpx.Client(
            base_url=f"http://127.0.0.1:{port}",
            timeout=WITHIN_S * 2,
            transport=transport,
            trust_env=False,
        ) as http:
            page = Browser(http, _session(http, binary, profile))
            try:
                yield page
            finally:
                page.call("", verb="DELETE")
    finally:
        driver.terminate()
        driver.wait(WITHIN_S)


def _session(http: httpx.Client, binary: str, profile: Path) -> str:
    options = {"binary": binary, "args": [*FLAGS, f"--user-data-dir={profile}"]}
    wanted = {
        "goog:chromeOptions": options,
        "goog:loggingPrefs": {"browser": "ALL"},
        "timeouts": {"script": int(WITHIN_S * 1000)},
    }
    answer = http.post("/session", json={"capabilities": {"alwaysMatch": wanted}})
    value = answer.json()["value"]
    assert answer.is_success, value["message"]
    return str(value["sessionId"])
