"""A host with consoles, a storage container and user Docker, in which a user's containers of all policies run."""

import http.client
import json
import signal
import sys
from collections.abc import Iterator
from typing import Any

from tests.bed import bundles, images
from tests.bed.bed import Bed
from tests.bed.http import Docker
from tests.boot.consoles import console_host, user_socket
from tests.chaos import processes
from tests.chaos.plan import Plan
from tests.chaos.processes import Process
from tests.chaos.scene import CALM, DATA_SIZE, IMAGE, EmbeddedScene, Scene, mount_disk

PORT = 8088
USERS = {"at-no": "no", "at-failure": "on-failure", "at-always": "always", "at-unless": "unless-stopped"}
"""A user's containers, each with its restart policy."""
WORKS = 'trap "exit 3" TERM; echo well >/srv/file; httpd -p 80 -h /srv; while :; do sleep 60 & wait $!; done'
"""Ends with a failure when it is stopped, so that every policy but "no" brings it back."""


class UserScene(EmbeddedScene):
    finishing: tuple[str, ...] = ()
    new_containers = 1

    def __init__(self, plan: Plan, bed: Bed) -> None:
        host = console_host(bed, plan.engine)
        Scene.__init__(self, plan, bed, host)
        mount_disk(bed, bed.dir / "data", DATA_SIZE)
        bed.run(["mount", "--bind", bundles.all_bundles(), bed.dir / "engines"])
        self._plain = host.config.read_text().replace("snapshot_period: 5s", f"snapshot_period: 5s, {CALM}")
        self.write_all()

    def write_all(self) -> None:
        services = {unit: self.service(unit) for unit in self.units}
        services[self.changed]["environment"] = {"CHANGES": str(self.changes)}
        more = "".join(f"    {unit}: {json.dumps(service)}\n" for unit, service in services.items())
        self.host.config.write_text(self._plain + more)

    def begin(self) -> None:
        self.supervise()
        self.host.wait_up(*self.units, "console", "user-docker")
        docker = self.user()
        docker.load(images.busybox_tar(self.bed.dir / "user.tar"))
        for name, policy in USERS.items():
            docker.run(name, IMAGE, self._user_container(name, policy))

    def _user_container(self, name: str, policy: str) -> dict[str, Any]:
        settings: dict[str, Any] = {"RestartPolicy": {"Name": policy}, "Binds": [f"{name}:/srv"]}
        if name == "at-always":
            settings["PortBindings"] = {"80/tcp": [{"HostPort": str(PORT)}]}
        return {
            "Cmd": ["sh", "-c", WORKS, self.mark(name)],
            "ExposedPorts": {"80/tcp": {}},
            "HostConfig": settings,
        }

    def user(self) -> Docker:
        return Docker(user_socket(self.host), timeout=60)

    def user_daemons(self, name: str) -> list[Process]:
        """The living ``dockerd`` or ``containerd`` of the user."""
        below, cgroup = f"{self.bed.dir}/", f"{self.bed.cgroup}/u"
        found = processes.in_namespace(self.bed.init_pid, lambda one: one.name == name)
        return [one for one in found if cgroup in one.command or not any(below in word for word in one.command)]

    def wrongs(self) -> Iterator[str]:
        """What is not as its user would have it."""
        daemons = self.user_daemons("dockerd")
        if len(daemons) != 1:
            yield f"{len(daemons)} dockerd of the user: {daemons}"
        try:
            code, rows = self.user().get("/containers/json?all=1")
        except (OSError, http.client.HTTPException) as error:
            yield f"user Docker does not answer: {error!r}"
            return
        if code != 200:
            yield f"user Docker answers {code}: {rows}"
            return
        states = {row["Names"][0].lstrip("/"): row["State"] for row in rows}
        living = {name: len(found) for name, found in self.living(USERS).items()}
        for name, policy in USERS.items():
            if policy != "no" and (states.get(name), living[name]) != ("running", 1):
                state = self.user().get(f"/containers/{name}/json")[1].get("State")
                yield f"{name} ({policy}) is {states.get(name)}, and {living[name]} of it run: {state}"
            elif living[name] != (states.get(name) == "running"):
                yield f"{name} is {states.get(name)} for user Docker, and {living[name]} of it run"
        if "well" not in self._served():
            yield f"nothing answers on the published port {PORT}"

    def left(self) -> Iterator[str]:
        for name in ("dockerd", "containerd"):
            yield from (f"the user's {name}: {one.pid}" for one in self.user_daemons(name))
        yield from (f"{name}: {[one.pid for one in found]}" for name, found in self.living(USERS).items() if found)

    def _served(self) -> str:
        """Through the bridge's own address: without a proxy, nothing listens on the loopback."""
        _, bridge = self.user().get("/networks/bridge")
        gateway = bridge["IPAM"]["Config"][0].get("Gateway", "172.17.0.1")
        code = "import sys, urllib.request as u; print(u.urlopen(sys.argv[1], timeout=5).read().decode())"
        return self.bed.run([sys.executable, "-c", code, f"http://{gateway}:{PORT}/file"], check=False).stdout

    def context(self) -> Process | None:
        """The main process of the container in which user Docker runs."""
        status = self.status() or {}
        attached = str((status.get("storage") or {}).get("attached") or "")
        code, found = self.person().get(f"/containers/{attached}/json") if attached else (0, {})
        inner = found["State"]["Pid"] if code == 200 else 0
        return next(iter(processes.in_namespace(self.bed.init_pid, lambda one: one.inner() == inner)), None)

    def kill_user(self, name: str) -> list[Process]:
        return [one for one in self.user_daemons(name) if processes.send(one, signal.SIGKILL)]
