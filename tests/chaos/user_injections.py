"""Bad luck of user Docker: its processes, its program, its pid files, and switches meanwhile."""

import json
import signal
import subprocess
import time
from collections.abc import Callable
from typing import cast

from tests.chaos import processes
from tests.chaos.kinds import Kind
from tests.chaos.ledger import Ledger
from tests.chaos.plan import Injection
from tests.chaos.scene import Scene
from tests.chaos.user_scene import UserScene

Strike = Callable[[Scene, Ledger, Injection], str]
TURNS = {"console": ("default", "other"), "storage": ("console", "gluster"), "engine": ("20.10", "26.1")}
PID_FILES = ("docker.pid", "docker/containerd/containerd.pid")


def on_user(strike: Callable[[UserScene, Injection], str]) -> Strike:
    def strike_it(scene: Scene, _ledger: Ledger, injection: Injection) -> str:
        return strike(cast("UserScene", scene), injection)

    return strike_it


def kill(name: str) -> Strike:
    def kill_it(scene: UserScene, _injection: Injection) -> str:
        return f"gone: {[one.pid for one in scene.kill_user(name)]}"

    return on_user(kill_it)


def freeze(name: str) -> Strike:
    def freeze_it(scene: UserScene, injection: Injection) -> str:
        found = scene.user_daemons(name)
        for one in found:
            processes.send(one, signal.SIGSTOP)
        time.sleep(injection.lasts)
        return f"went on: {[one.pid for one in found if processes.send(one, signal.SIGCONT)]}"

    return on_user(freeze_it)


def program_away(scene: UserScene, injection: Injection) -> str:
    """Hidden below a file that cannot be run, in the file system of its context."""
    context, daemons = scene.context(), scene.user_daemons("dockerd")
    if context is None or not daemons:
        return "nobody there"
    program = daemons[0].program()
    inside = ["nsenter", "-t", str(context.pid), "-m", "-p", "--"]  # With its /proc, umount knows its own mounts.
    hidden = subprocess.run([*inside, "mount", "--bind", "/dev/null", program], check=False, capture_output=True)
    if hidden.returncode:
        return f"could not be hidden: {hidden.stderr.decode()}"
    scene.kill_user("dockerd")
    time.sleep(injection.lasts)
    back = subprocess.run([*inside, "umount", program], check=False, capture_output=True)
    return f"{program} was away; its return: {back.returncode} {back.stderr.decode().strip()}"


def stale_pid_files(scene: UserScene, _injection: Injection) -> str:
    gone = scene.kill_user("dockerd")
    for name in PID_FILES:
        scene.bed.run(["sh", "-c", f"echo 1 >{scene.bed.dir}/crun/{name}"], check=False)
    return f"gone: {[one.pid for one in gone]}"


def switch(what: str) -> Strike:
    def switch_it(scene: UserScene, _injection: Injection) -> str:
        said = scene.host.cli(what, "list", "--json")
        listed = json.loads(said.stdout) if said.returncode == 0 else {}
        current = str(listed.get("current") or listed.get("enabled") or "")
        first, second = TURNS[what]
        done = scene.host.cli(what, "switch", second if current == first else first)
        return f"from {current or 'unknown'}: {done.returncode} {(done.stdout or done.stderr).splitlines()[:1]}"

    return on_user(switch_it)


USER_STRIKES: dict[Kind, Strike] = {
    Kind.KILL_USER_ENGINE: kill("dockerd"),
    Kind.KILL_USER_CONTAINERD: kill("containerd"),
    Kind.FREEZE_USER_ENGINE: freeze("dockerd"),
    Kind.FREEZE_USER_CONTAINERD: freeze("containerd"),
    Kind.USER_PROGRAM_AWAY: on_user(program_away),
    Kind.STALE_PID_FILES: on_user(stale_pid_files),
    Kind.SWITCH_CONSOLE: switch("console"),
    Kind.SWITCH_STORAGE: switch("storage"),
    Kind.SWITCH_ENGINE: switch("engine"),
}
