"""A headless Chromium for tests, driven by the WebDriver protocol; and a way from here into a bed's loopback."""

import base64
import contextlib
import json
import os
import select
import shutil
import socket
import subprocess
import tempfile
import threading
import time
import urllib.request
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from supervisor.engine.port import ContainerAddress
from supervisor.runtime.netns import socket_of
from tests.boot.host import PATIENCE

FLAGS = [
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--hide-scrollbars"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync", "--no-proxy-server"),
    *("--disable-dev-shm-usage", "--force-color-profile=srgb", "--lang=en"),
]
DRIVER = shutil.which("chromedriver") or "/usr/bin/chromedriver"
PAUSE = 0.05
"""Seconds between two looks at a page: a driver does not tell of changes."""


class Door:
    """A port of this machine's loopback that leads to one in a bed. It can be shut, and opened again."""

    def __init__(self, pid: int, port: int) -> None:
        self._pid, self._inner = pid, port
        self.port = 0
        self.open()

    def open(self) -> None:
        self._ends: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", self.port))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._serve, args=(self._listener,), daemon=True).start()

    def shut(self) -> None:
        """All that pass are cut off, and nobody else comes in."""
        for one in (self._listener, *self._ends):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _serve(self, listener: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = listener.accept()
                self._ends.append(near)
                threading.Thread(target=self._pass, args=(near,), daemon=True).start()

    def _pass(self, near: socket.socket) -> None:
        with (
            near,
            contextlib.suppress(OSError),
            socket_of(ContainerAddress(self._pid, "", host_network=False), "") as far,
        ):
            far.setblocking(True)
            far.connect(("127.0.0.1", self._inner))
            while True:
                for end in select.select([near, far], [], [])[0]:
                    if not (piece := end.recv(65536)):
                        return
                    (far if end is near else near).sendall(piece)


class Browser:
    """``with Browser() as browser``: one window. Everything it keeps goes with it."""

    def __init__(self) -> None:
        self._home = tempfile.mkdtemp(prefix="dw-browser")
        self._driver = subprocess.Popen(
            [DRIVER, "--port=0"],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env={**os.environ, "HOME": self._home, "TZ": "UTC"},
        )
        assert self._driver.stdout is not None
        line = next(one for one in self._driver.stdout if "successfully on port" in one)
        self._url = f"http://127.0.0.1:{line.rpartition('port ')[2].strip().rstrip('.')}/session"
        options = {
            "binary": shutil.which("chromium"),
            "args": [*FLAGS, f"--user-data-dir={self._home}/profile"],
            "perfLoggingPrefs": {"enableNetwork": True},
        }
        wanted = {"goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL", "performance": "ALL"}}
        self._url += "/" + self._ask("POST", "", {"capabilities": {"alwaysMatch": wanted}})["sessionId"]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _k: type[BaseException] | None, _e: BaseException | None, _t: TracebackType | None) -> None:
        with contextlib.suppress(OSError):
            self._ask("DELETE", "", None)
        self._driver.terminate()
        self._driver.wait(PATIENCE)
        assert self._driver.stdout is not None
        self._driver.stdout.close()
        shutil.rmtree(self._home, ignore_errors=True)

    def _ask(self, method: str, path: str, body: Any) -> Any:
        content = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self._url + path, content, {"Content-Type": "application/json"}, method=method)
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
                return json.load(answer)["value"]
        except urllib.error.HTTPError as error:
            said = json.load(error)["value"]
            raise AssertionError(f"{said['error']}: {said['message']}") from None

    def load(self, url: str) -> None:
        self._ask("POST", "/url", {"url": url})

    def script(self, code: str, *arguments: Any) -> Any:
        """The value of a function's body in the page."""
        return self._ask("POST", "/execute/sync", {"script": code, "args": arguments})

    def wait(self, what: str, code: str, *arguments: Any, patience: float = PATIENCE) -> Any:
        """Until it is true."""
        until = time.monotonic() + patience
        while not (value := self.script(code, *arguments)):
            assert time.monotonic() < until, (
                f"not seen on the page: {what}\n{self.script('return document.body.innerText')}"
            )
            time.sleep(PAUSE)
        return value

    def click(self, css: str) -> None:
        """As a person does: where it is, if nothing is in the way."""
        found = self._ask("POST", "/element", {"using": "css selector", "value": css})
        self._ask("POST", f"/element/{next(iter(found.values()))}/click", {})

    def keys(self, text: str) -> None:
        actions = [
            step for key in text for step in ({"type": "keyDown", "value": key}, {"type": "keyUp", "value": key})
        ]
        self._ask("POST", "/actions", {"actions": [{"type": "key", "id": "keys", "actions": actions}]})

    def _devtools(self, command: str, **params: Any) -> Any:
        return self._ask("POST", "/goog/cdp/execute", {"cmd": command, "params": params})

    def screen(self, width: int, height: int, *, phone: bool = False) -> None:
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": phone}
        self._devtools("Emulation.setDeviceMetricsOverride", **metrics)

    def scheme(self, name: str) -> None:
        """``light`` or ``dark``, as the system is set."""
        self._devtools("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": name}])

    def without_script(self, off: bool) -> None:
        self._devtools("Emulation.setScriptExecutionDisabled", value=off)

    def picture(self, path: Path) -> None:
        path.write_bytes(base64.b64decode(self._ask("GET", "/screenshot", None)))

    def console(self) -> list[str]:
        """What the browser complained of since it was last asked."""
        return [f"{one['level']} {one['message']}" for one in self._ask("POST", "/se/log", {"type": "browser"})]

    def asked_for(self) -> list[str]:
        """Addresses of all requests since it was last asked."""
        entries = [
            json.loads(one["message"])["message"] for one in self._ask("POST", "/se/log", {"type": "performance"})
        ]
        urls = [one["params"]["request"]["url"] for one in entries if one["method"] == "Network.requestWillBeSent"]
        return [url for url in urls if not url.startswith("chrome")]  # The window's own, before it had a page.
