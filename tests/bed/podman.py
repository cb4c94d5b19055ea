"""Podman in a bed, with its Docker socket: Debian 12's release, unpacked beside the machine's own packages."""

import subprocess
import time
from pathlib import Path
from typing import Self

from tests.bed import capabilities, engines
from tests.bed.bed import ENGINE_PATIENCE, PING_PAUSE, Bed, BedError
from tests.bed.http import Docker
from tests.bed.inside import InsideProcess

SUITE = "bookworm"
PACKAGES = ("podman", "conmon", "libgpgme11", "libassuan0", "libsubid4", "libdevmapper1.02.1")
CONFIG = """\
[containers]
netns = "host"
log_driver = "k8s-file"
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
conmon_path = ["{root}/usr/bin/conmon"]
runtime = "runc"
[engine.runtimes]
runc = ["{runc}"]
[network]
network_backend = "cni"
"""
STORAGE = """\
[storage]
driver = "vfs"
graphroot = "{dir}/podman"
runroot = "{dir}/podman.run"
"""
POLICY = '{"default": [{"type": "insecureAcceptAnything"}]}'


def find() -> Path:
    """Where it is unpacked; downloaded the first time (12 MB)."""
    return engines.made_once(
        engines.cache_directory() / "engines" / "podman",
        lambda new: engines.unpack(engines.download(SUITE, new.parent / "apt", PACKAGES), new),
    )


class Podman:
    """Its service, and its command line over the same containers.

    Without systemd nothing runs its HEALTHCHECKs by the clock: `check` does.
    """

    def __init__(self, bed: Bed) -> None:
        self.bed = bed
        self.socket = bed.dir / "podman.sock"
        self.log = bed.dir / "podman.log"
        self.docker = Docker(self.socket, api="v1.41")
        self._root = find()
        self.process: InsideProcess | None = None
        self._program = self._root / "usr/bin/podman"
        runc = Path(engines.program("runc"))
        if lacking := capabilities.missing():
            wrapper = bed.dir / "runc-podman"
            capabilities.write_wrapper(wrapper, str(runc), lacking)
            runc = wrapper
        (bed.dir / "containers.conf").write_text(CONFIG.format(root=self._root, runc=runc))
        (bed.dir / "storage.conf").write_text(STORAGE.format(dir=bed.dir))
        (bed.dir / "policy.json").write_text(POLICY)
        bed.run(["sh", "-c", f"mkdir -p /etc/containers && cp {bed.dir}/policy.json /etc/containers/"])
        libraries = ":".join(str(self._root / place / "x86_64-linux-gnu") for place in ("usr/lib", "lib"))
        self._env = {
            "PATH": f"{self._root}/usr/bin:{engines.SYSTEM_PATH}",
            "LD_LIBRARY_PATH": libraries,
            "CONTAINERS_CONF": str(bed.dir / "containers.conf"),
            "CONTAINERS_STORAGE_CONF": str(bed.dir / "storage.conf"),
            "TMPDIR": str(bed.dir),
        }

    def start(self) -> Self:
        service: list[str | Path] = [self._program, "system", "service", "--time", "0", f"unix://{self.socket}"]
        with self.log.open("a") as log:
            self.process = self.bed.popen(service, env=self._env, stdout=log, stderr=subprocess.STDOUT)
        until = time.monotonic() + ENGINE_PATIENCE
        while not self.docker.ping():
            if self.process.poll() is not None or time.monotonic() > until:
                raise BedError(f"podman does not answer ({self.process.poll()}): {self.log.read_text()[-2000:]}")
            time.sleep(PING_PAUSE)
        return self

    def check(self, name: str) -> bool:
        """Run its HEALTHCHECK once, as its timer would; whether it passed."""
        return self.run("healthcheck", "run", name, check=False) == 0

    def run(self, *words: str, check: bool = True) -> int:
        done = self.bed.run([self._program, *words], env=self._env, check=check)
        return done.returncode
