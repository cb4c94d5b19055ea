"""Makes bad luck happen: one function a kind, which says what became of it."""

import http.client
import signal
import subprocess
import time
from collections.abc import Callable

from tests.bed.bed import BedError
from tests.chaos import processes
from tests.chaos.kinds import KINDS, Kind, Shape
from tests.chaos.ledger import Ledger, Of, Wish
from tests.chaos.plan import Injection
from tests.chaos.proxy import Lie
from tests.chaos.scene import DATA_SIZE, STATE_SIZE, Scene
from tests.chaos.user_injections import USER_STRIKES

Strike = Callable[[Scene, Ledger, Injection], str]
"""Makes it happen, and says what became of it."""

CALM_WITHIN = 60.0
"""Seconds after which an outage is over for the ledger, whatever the supervisor says."""
ENGINE_PAUSE = 1.0
"""Seconds until whoever looks after a dead engine starts it again."""
SUPERVISOR_PAUSE = 0.5
ENGINE_TRIES = 5
OK, DONE, SAME, GONE, CONFLICT = 200, 204, 304, 404, 409
STOP_TIMEOUT = 5
AN_HOUR = 3600
NOBODY = "nobody there"


def strike(scene: Scene, ledger: Ledger, injection: Injection) -> None:
    """Make it happen, and write down what became of it."""
    try:
        ledger.note(injection, STRIKES[injection.kind](scene, ledger, injection))
    except (ConnectionError, http.client.HTTPException) as error:
        if injection.unit:
            ledger.blur(injection.unit)
        ledger.note(injection, f"its engine did not answer: {error!r}")
    except (OSError, subprocess.SubprocessError, BedError, AssertionError) as error:
        ledger.note(injection, f"could not be carried out: {error!r}")
        ledger.faults.append(f"{injection}: {error!r}")


def calm(scene: Scene) -> bool:
    """Whether the supervisor answers, and is in touch with the engine."""
    status = scene.status()
    return status is not None and bool(status["engine"]["up"])


def wait_until_calm(scene: Scene) -> None:
    scene.wait(lambda: calm(scene), CALM_WITHIN)


def kill(scene: Scene, ledger: Ledger, injection: Injection) -> str:
    found = scene.runs()[injection.unit]
    if scene.hands_on[injection.unit].locked():
        ledger.blur(injection.unit)  # A person's command may end the same run.
    if not found or not processes.killed(found[0]):
        return NOBODY
    ledger.did(injection.unit, injection.kind)
    return f"pid {found[0].pid} is gone"


def freeze(scene: Scene, _ledger: Ledger, injection: Injection) -> str:
    found = scene.runs()[injection.unit]
    if not found or not processes.send(found[0], signal.SIGSTOP):
        return NOBODY
    time.sleep(injection.lasts)
    return "went on" if processes.send(found[0], signal.SIGCONT) else "gone meanwhile"


def kill_engine(scene: Scene, ledger: Ledger, _injection: Injection) -> str:
    if not scene.changing_engine.acquire(blocking=False):
        return "somebody else has just ended it"
    try:
        daemon = scene.daemon("dockerd")
        if daemon is None:
            return NOBODY
        if not scene.plan.live_restore:
            ledger.blur()
            ledger.doubt(*scene.finishing)
        if scene.plan.shape is Shape.WATCH:
            ledger.forget_stops()
        with ledger.outage(Of.ENGINE):
            processes.killed(daemon)
            if scene.plan.shape is not Shape.EMBEDDED:
                time.sleep(ENGINE_PAUSE)
                tries = _started_again(scene)
            else:
                tries = "by its supervisor"
            wait_until_calm(scene)
        return f"pid {daemon.pid} is gone; started again {tries}"
    finally:
        scene.changing_engine.release()


def _started_again(scene: Scene) -> str:
    for attempt in range(1, ENGINE_TRIES + 1):
        try:
            scene.restart_engine()
        except BedError:
            if attempt == ENGINE_TRIES:
                raise
            time.sleep(ENGINE_PAUSE)
        else:
            return f"at try {attempt}"
    raise AssertionError


def kill_containerd(scene: Scene, ledger: Ledger, _injection: Injection) -> str:
    daemon = scene.daemon("containerd")
    if daemon is None:
        return NOBODY
    with ledger.outage(Of.ENGINE):
        processes.killed(daemon)
        scene.wait(lambda: scene.daemon("containerd") is not None, CALM_WITHIN)
        wait_until_calm(scene)
    return f"pid {daemon.pid} is gone"


def kill_supervisor(scene: Scene, ledger: Ledger, _injection: Injection) -> str:
    if not scene.changing_supervisor.acquire(blocking=False):
        return "somebody else has just ended it"
    try:
        with ledger.outage(Of.SUPERVISOR):
            scene.host.kill9()
            time.sleep(SUPERVISOR_PAUSE)
            scene.supervise()
            wait_until_calm(scene)
        return "gone, and another one started"
    finally:
        scene.changing_supervisor.release()


def freeze_daemon(name: str) -> Strike:
    def freeze_it(scene: Scene, ledger: Ledger, injection: Injection) -> str:
        daemon = scene.daemon(name)
        if daemon is None:
            return NOBODY
        with ledger.outage(Of.ENGINE):
            processes.send(daemon, signal.SIGSTOP)
            time.sleep(injection.lasts)
            went_on = processes.send(daemon, signal.SIGCONT)
            scene.wake_engine()
            wait_until_calm(scene)
        return "went on" if went_on else "gone meanwhile"

    return freeze_it


def freeze_supervisor(scene: Scene, ledger: Ledger, injection: Injection) -> str:
    process = scene.host.process
    if process is None or process.poll() is not None:
        return NOBODY
    with ledger.outage(Of.SUPERVISOR):
        process.send_signal(signal.SIGSTOP)
        time.sleep(injection.lasts)
        process.send_signal(signal.SIGCONT)
        wait_until_calm(scene)
    return "went on"


def stop(scene: Scene, ledger: Ledger, injection: Injection) -> str:
    with scene.hands_on[injection.unit]:
        began = time.monotonic()
        status = asked(scene, ledger, injection, f"/stop?t={STOP_TIMEOUT}")
        if status == DONE:
            ledger.did(injection.unit, injection.kind)
            ledger.wish(injection.unit, Wish.DOWN, began)
        return f"{status}"


def start(scene: Scene, ledger: Ledger, injection: Injection) -> str:
    with scene.hands_on[injection.unit]:
        status = asked(scene, ledger, injection, "/start")
        if status == DONE:
            if ledger.accounts[injection.unit].wish is Wish.RUNS:
                ledger.blur(injection.unit)  # It was down for a moment, and would have been started anyway.
            ledger.did(injection.unit, injection.kind)
        if status in {DONE, SAME}:
            ledger.wish(injection.unit, Wish.RUNS)
        return f"{status}"


def restart(scene: Scene, ledger: Ledger, injection: Injection) -> str:
    with scene.hands_on[injection.unit]:
        status = asked(scene, ledger, injection, f"/restart?t={STOP_TIMEOUT}")
        if status == DONE:
            ledger.did(injection.unit, injection.kind)
            ledger.wish(injection.unit, Wish.RUNS)
        return f"{status}"


def asked(scene: Scene, ledger: Ledger, injection: Injection, path: str) -> int:
    """The engine's answer to a person. Without one, or with a strange one, nobody knows what became of it."""
    unit = injection.unit
    status = answered(scene, "POST", f"/containers/{unit}{path}")
    if status not in {DONE, SAME, GONE}:
        ledger.blur(unit)
        ledger.accounts[unit].wish = Wish.UNSURE
    return status


def pause(scene: Scene, ledger: Ledger, injection: Injection) -> str:
    with scene.hands_on[injection.unit]:
        begun = asked(scene, ledger, injection, "/pause")
        time.sleep(injection.lasts)
        ended: list[int] = []
        scene.wait(lambda: _unpaused(scene, injection.unit, ended), CALM_WITHIN)
        return f"{begun}, {', '.join(map(str, ended))}"


def _unpaused(scene: Scene, unit: str, answers: list[int]) -> bool:
    """A person whose engine does not answer tries again, until it says yes, or that it is not paused."""
    answers.append(answered(scene, "POST", f"/containers/{unit}/unpause"))
    return answers[-1] in {DONE, GONE, CONFLICT} or _is_paused(scene, unit) is False


def _is_paused(scene: Scene, unit: str) -> bool | None:
    """Nothing, while the engine does not answer."""
    try:
        status, found = scene.person().get(f"/containers/{unit}/json")
    except (OSError, http.client.HTTPException):
        return None
    return bool(found["State"]["Paused"]) if status == OK else None


def rename(scene: Scene, ledger: Ledger, injection: Injection) -> str:
    """Who finds the name taken on the way back removes what he renamed."""
    unit = injection.unit
    with scene.hands_on[unit]:
        begun = answered(scene, "POST", f"/containers/{unit}/rename?name={unit}-old")
        if begun in {GONE, CONFLICT}:
            return f"{begun}"
        ledger.blur(unit)  # Without an answer it may have been done.
        time.sleep(injection.lasts)
        back: list[int] = []

        def is_back() -> bool:
            back.append(answered(scene, "POST", f"/containers/{unit}-old/rename?name={unit}"))
            if back[-1] == CONFLICT:
                back.append(answered(scene, "DELETE", f"/containers/{unit}-old?force=1"))
            return back[-1] in {DONE, GONE}

        scene.wait(is_back, CALM_WITHIN)
        return f"{begun}, {', '.join(map(str, back))}"


def answered(scene: Scene, method: str, path: str) -> int:
    """The status of an answer; 0 without one."""
    try:
        return scene.person().call(method, path)[0]
    except (OSError, http.client.HTTPException):
        return 0


def remove(scene: Scene, ledger: Ledger, injection: Injection) -> str:
    unit = injection.unit
    with scene.hands_on[unit]:
        if ledger.accounts[unit].wish is not Wish.RUNS and scene.plan.shape is not Shape.WATCH:
            return "stopped, so left alone"
        began = time.monotonic()
        status = answered(scene, "DELETE", f"/containers/{unit}?force=1")
        if status == DONE:
            ledger.did(unit, injection.kind)
            if ledger.hides(began, Of.ENGINE):  # 26.1 tells a stop and a removal, where it had lost the run (468).
                ledger.accounts[unit].wish = Wish.UNSURE
        elif status != GONE:
            ledger.blur(unit)
            ledger.accounts[unit].wish = Wish.UNSURE
        if scene.plan.shape is Shape.WATCH and _is_gone(scene, unit):
            if not scene.wait(lambda: _is_made(scene, unit), CALM_WITHIN):
                ledger.blur(unit)
                ledger.accounts[unit].wish = Wish.UNSURE
                return f"{status}, and it could not be made again"
            ledger.wish(unit, Wish.RUNS)
        return f"{status}"


def _is_made(scene: Scene, unit: str) -> bool:
    """Made and started, by a person who tries again where an engine does not answer."""
    try:
        if answered(scene, "GET", f"/containers/{unit}/json") == GONE:
            scene.make(unit)
            return True
        return answered(scene, "POST", f"/containers/{unit}/start") in {DONE, SAME}
    except (OSError, http.client.HTTPException, AssertionError):
        return False


def _is_gone(scene: Scene, unit: str) -> bool:
    """Once the engine answers."""
    told: list[int] = []

    def is_told() -> bool:
        told.append(answered(scene, "GET", f"/containers/{unit}/json"))
        return told[-1] in {OK, GONE}

    return scene.wait(is_told, CALM_WITHIN) and told[-1] == GONE


def lie(scene: Scene, ledger: Ledger, injection: Injection) -> str:
    if not KINDS[injection.kind].outage:
        _lie(scene, injection)
        return "told"
    with ledger.outage(Of.ENGINE):
        _lie(scene, injection)
        wait_until_calm(scene)
    return "told"


def _lie(scene: Scene, injection: Injection) -> None:
    scene.proxy().tell(Lie(injection.kind.value))
    time.sleep(injection.lasts)
    scene.proxy().tell(Lie.NONE)


def fill(scene: Scene, directory: str, megabytes: int, injection: Injection) -> None:
    name = f"{directory}/full-{injection.at}"
    scene.bed.run(["dd", "if=/dev/zero", f"of={name}", "bs=1M", f"count={megabytes}"], check=False)
    time.sleep(injection.lasts)
    # It may be read-only meanwhile.
    scene.wait(lambda: scene.bed.run(["rm", "-f", name], check=False).returncode == 0, CALM_WITHIN)


def state_full(scene: Scene, _ledger: Ledger, injection: Injection) -> str:
    fill(scene, scene.state, STATE_SIZE, injection)
    return "emptied again"


def state_read_only(scene: Scene, _ledger: Ledger, injection: Injection) -> str:
    """A second mount upon it, for files that are open for writing forbid to change the first."""
    scene.bed.run(["mount", "--bind", scene.state, scene.state])
    done = scene.bed.run(["mount", "-o", "remount,bind,ro", scene.state], check=False)
    time.sleep(injection.lasts)
    scene.bed.run(["umount", "-l", scene.state])
    return f"stayed writable: {done.stderr.strip()}" if done.returncode else "writable again"


def engine_full(scene: Scene, ledger: Ledger, injection: Injection) -> str:
    with ledger.outage(Of.ENGINE):
        fill(scene, str(scene.data_root), DATA_SIZE, injection)
        wait_until_calm(scene)
    return "emptied again"


def reload(scene: Scene, ledger: Ledger, _injection: Injection) -> str:
    ledger.blur(scene.changed)
    scene.reload()
    return f"change {scene.changes}"


def clock(scene: Scene, ledger: Ledger, injection: Injection) -> str:
    """What is stamped meanwhile is an hour old, or comes from the future."""
    with ledger.outage(Of.ENGINE):
        scene.clock().jump(AN_HOUR)
        time.sleep(injection.lasts)
        ahead = scene.clock().jump(-AN_HOUR)
        wait_until_calm(scene)
    return f"{ahead} s ahead now"


STRIKES: dict[Kind, Strike] = {
    Kind.KILL: kill,
    Kind.KILL_ENGINE: kill_engine,
    Kind.KILL_CONTAINERD: kill_containerd,
    Kind.KILL_SUPERVISOR: kill_supervisor,
    Kind.STOP: stop,
    Kind.START: start,
    Kind.RESTART: restart,
    Kind.PAUSE: pause,
    Kind.RENAME: rename,
    Kind.REMOVE: remove,
    Kind.FREEZE: freeze,
    Kind.FREEZE_ENGINE: freeze_daemon("dockerd"),
    Kind.FREEZE_CONTAINERD: freeze_daemon("containerd"),
    Kind.FREEZE_SUPERVISOR: freeze_supervisor,
    Kind.CUT: lie,
    Kind.DELAY: lie,
    Kind.TRUNCATE: lie,
    Kind.DUPLICATE: lie,
    Kind.SWALLOW: lie,
    Kind.GARBLE: lie,
    Kind.STATE_FULL: state_full,
    Kind.STATE_READ_ONLY: state_read_only,
    Kind.ENGINE_FULL: engine_full,
    Kind.RELOAD: reload,
    Kind.CLOCK: clock,
    **USER_STRIKES,
}
