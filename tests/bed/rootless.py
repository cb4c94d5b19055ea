"""A rootless dockerd in a bed: the system's own, run by rootlesskit as a user who is nobody else.

As ``dockerd-rootless.sh`` starts it, but with the bed's network. On cgroup v1 it has no limits, and cannot pause.
"""

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

from tests.bed import debian, engines
from tests.bed.bed import Bed, Engine
from tests.bed.http import Docker

UID = 4242
SUBORDINATE = "500000:65536"
PACKAGES = ("rootlesskit", "uidmap")
CLEAN = 'rm -rf /run/docker /run/containerd /run/xtables.lock; exec "$@"'


def tools() -> Path:
    """The directory of rootlesskit and newuidmap; unpacked the first time, for they are needed nowhere else."""
    suite = debian.codename()
    made = engines.made_once(
        engines.cache_directory() / "rootless" / suite,
        lambda new: engines.unpack(engines.download(suite, new.parent / "apt", PACKAGES), new),
    )
    return made / "usr/bin"


class RootlessEngine(Engine):
    """Its socket lies in the user's ``$XDG_RUNTIME_DIR``, ``<bed>/run-4242``."""

    def __init__(self, bed: Bed, *, name: str = "rootless") -> None:
        super().__init__(bed, engines.find(engines.system_version()), (), name=name, bridge=False)
        self.run_dir, self.home = bed.dir / f"run-{UID}", bed.dir / f"home-{UID}"
        self.socket = self.run_dir / "docker.sock"
        self.docker = Docker(self.socket)
        self._starts = 0
        """rootlesskit wants a directory of its own for each."""
        self._tools = self._reachable_tools()
        self._make_user()

    def _reachable_tools(self) -> Path:
        """In the bed's directory: the cache may lie where only root may look."""
        place = self.bed.dir / "rootless-bin"
        subprocess.run(["cp", "-a", tools(), place], check=True)
        self.bed.dir.chmod(0o711)
        return place

    def _make_user(self) -> None:
        """In the bed's own view of ``/etc`` only."""
        etc = self.bed.dir / "etc"
        subprocess.run(["cp", "-a", "/etc", etc], check=True)
        with (etc / "passwd").open("a") as users, (etc / "group").open("a") as groups:
            users.write(f"rootless:x:{UID}:{UID}::{self.home}:/bin/sh\n")
            groups.write(f"rootless:x:{UID}:\n")
        for file in ("subuid", "subgid"):
            (etc / file).write_text(f"rootless:{SUBORDINATE}\n")
        self.bed.run(["mount", "--bind", etc, "/etc"])
        for directory in (self.run_dir, self.home):
            directory.mkdir()
            os.chown(directory, UID, UID)

    def _command(self) -> Sequence[str]:
        user = ("/usr/bin/setpriv", f"--reuid={UID}", f"--regid={UID}", "--clear-groups")
        environment = (
            *("/usr/bin/env", "-i", f"HOME={self.home}", f"XDG_RUNTIME_DIR={self.run_dir}"),
            f"PATH={self._tools}:{engines.SYSTEM_PATH}",
        )
        kit = (
            *("rootlesskit", "--net=host", "--copy-up=/etc", "--copy-up=/run"),
            f"--state-dir={self.run_dir}/kit-{self._starts}",
        )
        options = (
            *("--rootless", "--host", f"unix://{self.socket}", "--pidfile", str(self.run_dir / "docker.pid")),
            *("--data-root", str(self.home / "data"), "--exec-root", str(self.run_dir / "x")),
            *("--storage-driver", "vfs", "--bridge", "none", "--iptables=false", "--live-restore"),
        )
        self._starts += 1
        return (*user, *environment, *kit, "sh", "-c", CLEAN, "sh", self._binaries.dockerd, *options)
