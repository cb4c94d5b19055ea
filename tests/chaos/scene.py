"""The host of a plan: its engine, its units, and the supervisor, which come and go."""

import contextlib
import http.client
import itertools
import json
import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, cast

from tests.bed import capabilities, images
from tests.bed.bed import Bed, Engine
from tests.bed.http import Docker
from tests.boot.host import Host, system_docker
from tests.boot.watched import WatchedHost
from tests.chaos import processes
from tests.chaos.clock import WallClock
from tests.chaos.kinds import PROXIED, Kind
from tests.chaos.plan import UNITS, Plan
from tests.chaos.processes import Process
from tests.chaos.proxy import Proxy

IMAGE = "busybox:demo"
SCRIPT = 'echo started >>/marks/NAME; trap "exit 0" TERM; while :; do sleep 60 & wait $!; done'
PERSON_PATIENCE = 120.0
"""Seconds that a person's command may take."""
STATE_SIZE = 32
DATA_SIZE = 400
"""MB."""
LOOK_PAUSE = 0.1
CALM = "restart: {burst: 0, delay: 0.2s, max_delay: 2s, probe: 5s}"
"""No crash loop: a plan strikes one unit more often than a person would put up with."""


class Scene:
    """What is the same on every host. Make it in a thread that stays."""

    finishing: tuple[str, ...] = ()
    """Units that an end with 0 finishes."""
    new_containers = 0
    """How many more there may be in the end: a console that is switched to for the first time is made then."""

    def __init__(self, plan: Plan, bed: Bed, host: Host) -> None:
        self.plan = plan
        self.bed = bed
        self.host = host
        self.units = UNITS[plan.shape]
        self.marks = bed.dir / "marks"
        self.marks.mkdir()
        self.changing_engine = threading.Lock()
        """Held while somebody ends the engine and starts it again."""
        self.changing_supervisor = threading.Lock()
        self.hands_on = {unit: threading.Lock() for unit in self.units}
        """A person finishes one command on a unit before the next."""
        self.changes = 0
        """How often the configuration was changed."""
        self._clock: WallClock | None = None
        if any(one.kind is Kind.CLOCK for one in plan.injections):
            self._clock = WallClock(bed.dir)
            host.env.update(self._clock.env)
        mount_disk(bed, self.state, STATE_SIZE)

    @property
    def changed(self) -> str:
        """The unit that a changed configuration changes."""
        return self.units[-1]

    @property
    def state(self) -> str:
        return str(self.bed.dir / "state")

    @property
    def data_root(self) -> Path:
        """The engine's, on a disk of its own."""
        return self.bed.dir / ("system" if self.plan.shape in PROXIED else "data")

    def begin(self) -> None:
        """Bring the host up: all units run."""
        self.supervise()
        self.host.wait_up(*self.units)

    def supervise(self) -> None:
        """Start a supervisor."""
        raise NotImplementedError

    def restart_engine(self) -> None:
        """After it was killed, as whoever looks after it does."""

    def wake_engine(self) -> None:
        """After it was told to go on."""

    def end(self) -> int:
        """Ask the supervisor to end; its exit code."""
        return self.host.end()

    def close(self) -> None:
        """Whatever lives outside of the bed ends."""

    def proxy(self) -> Proxy:
        raise AssertionError("no proxy on this host")

    def clock(self) -> WallClock:
        """Of a host whose plan lets it jump."""
        assert self._clock is not None
        return self._clock

    def person(self) -> Docker:
        """A client of the engine itself, with the patience of a person."""
        return Docker(self.host.socket, timeout=PERSON_PATIENCE)

    def mark(self, unit: str) -> str:
        """The last word of the unit's command line."""
        return f"{self.bed.ident}:{unit}"

    def script(self, unit: str) -> str:
        return SCRIPT.replace("NAME", unit)

    def starts(self, unit: str) -> int:
        """How often its program really began, as it wrote down; killed before that, it is only told by the engine."""
        told = (json.loads(line) for line in self.engine_events())
        started = [one["Actor"]["Attributes"]["name"] for one in told if one.get("status") == "start"]
        of_unit = started.count(unit)
        try:
            return max(of_unit, len((self.marks / unit).read_text().splitlines()))
        except FileNotFoundError:
            return of_unit

    def runs(self) -> dict[str, list[Process]]:
        """The main processes of each unit that live now: it should be one."""
        return self.living(self.units)

    def living(self, names: Iterable[str]) -> dict[str, list[Process]]:
        """The main processes of all containers whose command line ends with one of these marks."""
        marks = {self.mark(name): name for name in names}
        found: dict[str, list[Process]] = {name: [] for name in marks.values()}
        for process in processes.those(lambda one: one.command[-1] in marks):
            if process.is_first():
                found[marks[process.command[-1]]].append(process)
        return found

    def daemon(self, name: str) -> Process | None:
        """The living ``dockerd`` or ``containerd`` of the engine."""
        below = f"{self.bed.dir}/"
        found = processes.those(lambda one: one.name == name and any(below in word for word in one.command[1:]))
        return found[0] if found else None

    def shims(self) -> list[str]:
        """Of all containers of the engine: each with the container's id and how many processes it has."""
        below = f"{self.bed.dir}/"
        found = processes.those(
            lambda one: one.name == "containerd-shim-runc-v2" and any(below in word for word in one.command[1:])
        )
        return [
            f"{one.command[one.command.index('-id') + 1][:12]} ({len(processes.children(one))} processes)"
            for one in found
        ]

    def supervisor(self) -> Process | None:
        process = self.host.process
        if process is None or process.poll() is not None:
            return None
        found = processes.those(lambda one: one.pid == process.outer_pid)
        return found[0] if found else None

    def status(self) -> dict[str, Any] | None:
        """All that the supervisor says of itself; nothing while it does not answer."""
        control = Docker(self.host.run_dir / "control.sock", api="v1", timeout=10)
        with contextlib.suppress(OSError, ValueError):
            code, answer = control.raw("GET", "/status")
            return cast("dict[str, Any]", json.loads(answer)) if code == 200 else None
        return None

    def engine_tells(self) -> list[str]:
        """The last events of the engine, and what it logs to a file."""
        logs = [log.read_text().splitlines() for log in self.bed.dir.glob("*.log")]
        return [*self.engine_events(), *itertools.chain(*logs)]

    def engine_events(self) -> list[str]:
        """As JSON, the last 256 since it was started; none while it does not answer."""
        with contextlib.suppress(OSError, http.client.HTTPException):
            return self.person().raw("GET", f"/events?since=1&until={int(time.time())}")[1].decode().splitlines()
        return []

    def reload(self) -> None:
        """Change the configuration, and let the supervisor read it again."""
        raise AssertionError("no configuration on this host")

    def hang_up(self) -> None:
        """SIGHUP to the supervisor; to one that has just been started once its program is at work."""
        while (process := self.supervisor()) is not None and not processes.takes(process, signal.SIGHUP):
            time.sleep(LOOK_PAUSE)
        if process is not None:
            processes.send(process, signal.SIGHUP)

    def make(self, unit: str) -> None:
        """Make a container that a person removed. Not needed where the supervisor does."""

    def wrongs(self) -> Iterator[str]:
        """What else is not as it should be."""
        yield from ()

    def left(self) -> Iterator[str]:
        """What else runs on after the supervisor's end, and should not."""
        yield from ()

    def wait(self, holds: Callable[[], bool], patience: float) -> bool:
        """Whether it came to hold."""
        until = time.monotonic() + patience
        while not holds():
            if time.monotonic() > until:
                return False
            time.sleep(LOOK_PAUSE)
        return True


class BootScene(Scene):
    """Units of a cloud-config."""

    finishing: tuple[str, ...] = ("delta",)

    def write(self, docker: str = "") -> None:
        services = {unit: self.service(unit) for unit in self.units}
        services["alpha"]["net"] = "none"
        services["beta"] |= {"volumes_from": ["holder"], "restart": "unless-stopped"}
        services["gamma"]["labels"]["io.rancher.os.after"] = "once"
        services["delta"] |= {"restart": "on-failure"}
        services[self.changed]["environment"] = {"CHANGES": str(self.changes)}
        services["once"] = self.service("once") | {"command": ["true"], "restart": "no"}
        services["once"]["labels"]["io.rancher.os.detach"] = "false"
        services["holder"] = self.service("holder") | {"command": ["true"], "restart": "no", "volumes": ["/kept"]}
        services["holder"]["labels"]["io.rancher.os.createonly"] = "true"
        lines = ["#cloud-config", "rancher:", f"  supervisor: {{{CALM}}}"]
        lines += [f"  system_docker: {docker}"] if docker else []
        self.host.config.write_text("\n".join([*lines, f"  services: {json.dumps(services)}", ""]))

    def service(self, unit: str) -> dict[str, Any]:
        return {
            "image": IMAGE,
            "command": ["sh", "-c", self.script(unit).replace("$", "$$"), self.mark(unit)],
            "net": "host",
            "restart": "always",
            "volumes": [f"{self.marks}:/marks"],
            "labels": {"io.rancher.os.scope": "system"},
        }


class AttachedScene(BootScene):
    def __init__(self, plan: Plan, bed: Bed) -> None:
        host = Host(bed, plan.engine, "")
        super().__init__(plan, bed, host)
        self.engine = started_engine(plan, bed)
        host.socket, host.docker = self.engine.socket, self.engine.docker
        self._proxy = Proxy(bed.dir / "via.sock", self.engine.socket)
        images.busybox_tar(host.images / "images.tar.gz")
        self.write()

    def supervise(self) -> None:
        self.host.boot("--engine", f"unix://{self._proxy.listening}")

    def restart_engine(self) -> None:
        self.engine.process = None
        self.engine.start()

    def wake_engine(self) -> None:
        if self.engine.process is not None:
            self.engine.process.send_signal(signal.SIGCONT)

    def proxy(self) -> Proxy:
        return self._proxy

    def reload(self) -> None:
        self.changes += 1
        self.write()
        self.hang_up()

    def close(self) -> None:
        self._proxy.close()


class EmbeddedScene(BootScene):
    def __init__(self, plan: Plan, bed: Bed) -> None:
        super().__init__(plan, bed, Host(bed, plan.engine, ""))
        mount_disk(bed, bed.dir / "data", DATA_SIZE)
        self.write_all()
        images.busybox_tar(self.host.images / "images.tar.gz")

    def write_all(self) -> None:
        lacking = capabilities.missing()
        runtime: tuple[str, ...] = () if self.plan.live_restore else ("--live-restore=false",)
        if lacking:
            wrapper = self.bed.dir / "runc-caps"
            capabilities.write_wrapper(wrapper, self.host.binaries.runc, lacking)
            runtime += ("--add-runtime", f"caps={wrapper}", "--default-runtime", "caps")
        self.write(system_docker(self.bed.dir, self.bed.cgroup, self.host.binaries.path, runtime))

    def supervise(self) -> None:
        self.host.boot()

    def reload(self) -> None:
        self.changes += 1
        self.write_all()
        self.hang_up()


class WatchScene(Scene):
    def __init__(self, plan: Plan, bed: Bed) -> None:
        mount_disk(bed, bed.dir / "system", DATA_SIZE)
        host = WatchedHost(bed, plan.engine, "--live-restore=" + ("true" if plan.live_restore else "false"))
        super().__init__(plan, bed, host)
        self.watched = host
        self._proxy = Proxy(bed.dir / "via.sock", host.engine.socket)
        for unit in self.units:
            self.make(unit)

    def supervise(self) -> None:
        self.watched.watch("--engine", f"unix://{self._proxy.listening}")

    def restart_engine(self) -> None:
        self.watched.engine.process = None
        self.watched.engine.start()

    def wake_engine(self) -> None:
        if self.watched.engine.process is not None:
            self.watched.engine.process.send_signal(signal.SIGCONT)

    def make(self, unit: str) -> None:
        settings = {"Binds": [f"{self.marks}:/marks"], "RestartPolicy": {"Name": "always"}, "NetworkMode": "host"}
        command = ["sh", "-c", self.script(unit), self.mark(unit)]
        self.watched.make(unit, Cmd=command, HostConfig=settings)

    def proxy(self) -> Proxy:
        return self._proxy

    def close(self) -> None:
        self._proxy.close()


def mount_disk(bed: Bed, directory: str | Path, megabytes: int) -> None:
    """A disk of its own, which can be filled. What is mounted upon it is nobody else's."""
    bed.run(["mkdir", "-p", directory])
    bed.run(["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", directory])
    bed.run(["mount", "--make-private", directory])


def started_engine(plan: Plan, bed: Bed) -> Engine:
    mount_disk(bed, bed.dir / "system", DATA_SIZE)
    return bed.engine(plan.engine, "--live-restore=" + ("true" if plan.live_restore else "false")).start()
