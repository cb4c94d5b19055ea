"""A real Prometheus server in a bed, with the configuration and the rules that are shipped, only in a hurry."""

import json
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from tests.bed.bed import Bed
from tests.bed.engines import REPOSITORY
from tests.boot.host import PATIENCE, HostError

SHIPPED = REPOSITORY / "packaging/prometheus"
PORT = 9090
LOOK_PAUSE = 0.1
"""Seconds between two looks at what does not tell of its changes."""
ASK = """\
import json, sys, urllib.error, urllib.request
for url in sys.argv[1:]:
    try:
        print(urllib.request.urlopen(url, timeout=20).read().decode())
    except urllib.error.HTTPError as error:  # Plain words while it is not ready yet, else JSON.
        said = error.read().decode().strip()
        print(said if said.startswith("{") else json.dumps({"status": "error", "error": said}))
    except OSError as error:
        print(json.dumps({"status": "error", "error": str(error)}))
"""


class Prometheus:
    """Scrapes and evaluates each half second; an alert is pending for two seconds, however long it is shipped to be."""

    def __init__(self, bed: Bed) -> None:
        self._bed = bed
        self._dir = bed.dir / "prometheus"
        self._dir.mkdir()
        self._log = self._dir / "prometheus.log"
        config = (SHIPPED / "prometheus.yml").read_text()
        (self._dir / "prometheus.yml").write_text(re.sub(r"(?<=_interval: )\w+", "500ms", config))
        rules = (SHIPPED / "dockwarden.rules.yml").read_text()
        (self._dir / "dockwarden.rules.yml").write_text(re.sub(r"(?<= for: )\w+", "2s", rules))
        with self._log.open("w") as log:
            self._process = bed.popen(
                [
                    shutil.which("prometheus") or "/usr/bin/prometheus",
                    f"--config.file={self._dir / 'prometheus.yml'}",
                    f"--storage.tsdb.path={self._dir / 'data'}",
                    f"--web.listen-address=127.0.0.1:{PORT}",
                    "--enable-feature=exemplar-storage",
                ],
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def ask(self, *paths: str) -> list[dict[str, Any]]:
        """What the API answers to each. It listens in the bed's network, so somebody in there asks."""
        urls = [f"http://127.0.0.1:{PORT}/api/v1/{path}" for path in paths]
        return [json.loads(line) for line in self._bed.run([sys.executable, "-c", ASK, *urls]).stdout.splitlines()]

    def query(self, *expressions: str) -> list[list[dict[str, Any]]]:
        """The series that each expression gives now. Fails with what the server says of one that it refuses."""
        answers = self.ask(*(f"query?{urlencode({'query': expression})}" for expression in expressions))
        for expression, answer in zip(expressions, answers, strict=True):
            if answer["status"] != "success":
                raise HostError(f"{expression}: {answer['error']}")
        return [answer["data"]["result"] for answer in answers]

    def wait(self, what: str, path: str, holds: Callable[[Any], bool]) -> Any:
        """Until it holds of the data there. The server says nothing of its own accord, so this looks often."""
        until = time.monotonic() + PATIENCE
        while True:
            (answer,) = self.ask(path)
            if answer["status"] == "success" and holds(answer["data"]):
                return answer["data"]
            if self._process.poll() is not None or time.monotonic() > until:
                raise HostError(f"not seen: {what}\n{answer}\n{tail(self._log)}")
            time.sleep(LOOK_PAUSE)

    def wait_for(self, what: str, expression: str) -> list[dict[str, Any]]:
        """Until the expression gives any series."""
        path = f"query?{urlencode({'query': expression})}"
        return list(self.wait(what, path, lambda data: bool(data["result"]))["result"])

    def end(self) -> None:
        self._process.kill()
        self._process.wait(PATIENCE)


def tail(log: Path) -> str:
    return "\n".join(log.read_text().splitlines()[-15:])
