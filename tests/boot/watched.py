"""A Docker host that nobody booted, and ``dockwarden watch`` on it."""

import json
import subprocess
import sys
import threading
from collections.abc import Mapping
from typing import Any

from tests.bed import images
from tests.bed.bed import Bed, InsideProcess
from tests.bed.engines import REPOSITORY
from tests.boot.host import Host

LIVES = "trap 'exit 0' TERM; while :; do sleep 60 & wait $!; done"
SERVES = f"httpd -f -p 8080 -h /etc & {LIVES}"
IMAGE = "busybox:demo"


class WatchedHost(Host):
    """An engine of its own, containers that people make, and a watch that comes and goes."""

    def __init__(self, bed: Bed, version: str, *engine_options: str) -> None:
        super().__init__(bed, version, "")
        self.engine = bed.engine(version, *engine_options, bridge=True).start()
        self.socket = self.engine.socket
        self.docker = type(self.docker)(self.socket)
        self.docker.load(images.busybox_tar(bed.dir / "busybox.tar"))

    def watch(self, *options: str, env: Mapping[str, str] | None = None) -> InsideProcess:
        command = [sys.executable, "-m", "supervisor", "watch", "--engine", f"unix://{self.socket}", *options]
        command += ["--state-dir", str(self.dir / "state"), "--run-dir", str(self.run_dir)]
        self.process = self.bed.popen(
            command,
            cwd=REPOSITORY,
            env={"PATH": self.binaries.path, "PYTHONUNBUFFERED": "1", **self.env, **(env or {})},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        self._listener = threading.Thread(target=self._listen, args=(self.process,), daemon=True)
        self._listener.start()
        return self.process

    def make(self, name: str, script: str = LIVES, *, wants: bool = True, start: bool = True, **config: Any) -> str:
        """A container as a person makes one. ``wants``: it asks to be looked after. ``config``: of its create call."""
        labels = {"dockwarden.enable": "true"} if wants else {}
        labels |= config.pop("Labels", {})
        body = {"Image": IMAGE, "Cmd": ["sh", "-c", script], "Labels": labels, **config}
        status, made = self.docker.post(f"/containers/create?name={name}", body)
        assert status == 201, made
        if start:
            status, answer = self.docker.post(f"/containers/{name}/start")
            assert status == 204, answer
        return str(made["Id"])

    def execute(self, name: str, *command: str) -> str:
        """What a command in a container says."""
        _, made = self.docker.post(f"/containers/{name}/exec", {"Cmd": [*command], "AttachStdout": True})
        _, answer = self.docker.raw("POST", f"/exec/{made['Id']}/start", {})
        return answer.decode(errors="replace")

    def reaches(self, name: str, port: int = 8080) -> bool:
        """Whether what serves in the network that it shares answers it."""
        return "busybox" in self.execute(name, "wget", "-qO-", f"http://127.0.0.1:{port}/os-release")

    def told(self, event: str, **fields: Any) -> list[dict[str, Any]]:
        """The log lines of this name so far."""
        lines = (json.loads(line) for line in self.log if line.startswith("{"))
        return [
            line
            for line in lines
            if line.get("event") == event and all(line.get(key) == value for key, value in fields.items())
        ]
