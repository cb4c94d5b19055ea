"""Says what is wrong with a host after its bad luck: sentences, none if all is well."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.bed import leftovers
from tests.chaos import processes
from tests.chaos.kinds import PROXIED, Kind, Shape
from tests.chaos.ledger import Ledger, Wish
from tests.chaos.scene import Scene

UP = frozenset({"ready"})
DOWN = frozenset({"inactive"})
FINISHED = frozenset({"completed"})
"""A unit with the policy ``on-failure`` may be that, whose stop was told as an end with 0 and no more."""
MORE_FILES = 24
"""Descriptors by which a supervisor may grow: connections to its engine, kept for the next call."""
MORE_MEMORY = 24.0
"""MB by which a supervisor may grow; its history has a bound that a round does not reach."""
HEX = re.compile(r"[0-9a-f]{64}")
EXITS = re.compile(r'^dockwarden_unit_exits_total\{.*?unit="(\w+)".*?\} ([0-9.]+)$', re.MULTILINE)
ENDS = frozenset({Kind.KILL, Kind.STOP, Kind.RESTART, Kind.REMOVE})
"""What ends a run."""
RESTARTS = frozenset({Kind.KILL, Kind.RESTART, Kind.REMOVE, Kind.START})
"""What is followed by another run."""
CONFUSES = frozenset({Kind.KILL_CONTAINERD, Kind.FREEZE_CONTAINERD})
"""After each of these an engine may tell an end too many: dockerd 26.1 takes a late exit of the last task for one of
the present task, says ``die``, and then ``start`` of a run that never ended (seeds 201 and 204)."""
CUTS = CONFUSES | {Kind.KILL_ENGINE}
"""Each may cut off a start or an end in the middle, whose shim then stays: the engine's own leak (seeds 449, 458)."""
UNWRITTEN = frozenset({Kind.STATE_FULL, Kind.STATE_READ_ONLY})
NAMED = {Kind.KILL: "SIGKILL", Kind.STOP: "docker stop"}
"""What ``why`` says of a unit that met this last."""


@dataclass(frozen=True, slots=True)
class Footprint:
    """What a host takes of the machine."""

    containers: frozenset[str]
    """Their names."""
    files: int
    memory: float
    """MB."""


def footprint(scene: Scene) -> Footprint:
    process = scene.supervisor()
    proc = Path(f"/proc/{process.pid if process else 'self'}")
    status = proc.joinpath("status").read_text()
    found = re.search(r"VmRSS:\s+(\d+)", status)
    return Footprint(
        containers=frozenset(one["Names"][0].lstrip("/") for one in containers(scene)),
        files=len(list(proc.joinpath("fd").iterdir())),
        memory=int(found[1]) / 1024 if found else 0,
    )


def containers(scene: Scene) -> list[dict[str, Any]]:
    """All that the engine lists, and the units, which it may not list although it has them (its disk was full)."""
    listed = list(scene.person().get("/containers/json?all=1")[1])
    known = {one["Id"] for one in listed}
    for unit in scene.units:
        code, found = scene.person().get(f"/containers/{unit}/json")
        if code == 200 and found["Id"] not in known:
            listed.append({"Id": found["Id"], "Names": [found["Name"]]})
    return listed


def unsettled(scene: Scene, ledger: Ledger) -> Iterator[str]:
    """What is not as it should be in the end, and may still become so."""
    status = scene.status()
    if status is None:
        yield "status does not answer"
        return
    if not status["engine"]["up"]:
        yield f"the engine is down: {status['engine']['reason']}"
    for trouble in status["supervisor"]["troubles"]:
        yield f"trouble with {trouble['of']}: {trouble['reason']}"
    units = {unit["name"]: unit for unit in status["units"]}
    runs = scene.runs()
    for unit in scene.units:
        wish, running = ledger.accounts[unit].wish, len(runs[unit])
        if running and unit in forgotten(scene) and (wish is not Wish.RUNS or scene.plan.shape is Shape.WATCH):
            wish, running = Wish.UNSURE, 0
        if running == 0 and _is_left(scene, units.get(unit)):
            continue
        down = DOWN | FINISHED if unit in scene.finishing else DOWN
        yield from of_unit(unit, wish, units.get(unit), running, down)
    yield from _as_the_engine(scene, ledger, units)
    yield from scene.wrongs()


def forgotten(scene: Scene) -> list[str]:
    """Units that live on although their engine says that they do not: what a frozen containerd can make of a stop.

    Nobody but the engine could say so: it runs until the engine is restarted. A watch takes it for a person's stop.
    """
    if not any(one.kind in CONFUSES for one in scene.plan.injections):
        return []
    living = [unit for unit, found in scene.runs().items() if found]
    return [unit for unit in living if not _runs(scene, unit)]


def _is_left(scene: Scene, said: dict[str, Any] | None) -> bool:
    """The engine's own restart policy has it, and a watch leaves it to that.

    26.1 may end each run that its policy starts, for ever, once it holds an old task that a frozen containerd
    did not delete (seed 460), and may give up where containerd goes away while it waits for the next start (497).
    """
    confused = any(one.kind in CONFUSES for one in scene.plan.injections)
    return scene.plan.shape is Shape.WATCH and confused and "restart policy" in (said or {}).get("reason", "")


def of_unit(
    unit: str, wish: Wish, said: dict[str, Any] | None, running: int, down: frozenset[str] = DOWN
) -> Iterator[str]:
    if said is None:
        yield f"{unit} is unknown to the supervisor, {running} of it run"
        return
    state = f"{unit} ({wish.value}) is {said['state']}: {said['reason']}"
    wanted = UP if wish is Wish.RUNS else down if wish is Wish.DOWN else UP | down
    if said["state"] not in wanted:
        yield state
    elif running != (1 if said["state"] in UP else 0):
        yield f"{state}; and {running} of it run"


def _is_up(found: dict[str, Any]) -> bool:
    """One that waits for its next start runs, for some engines."""
    return bool(found["State"]["Running"] and not found["State"]["Restarting"])


def _as_the_engine(scene: Scene, ledger: Ledger, units: dict[str, dict[str, Any]]) -> Iterator[str]:
    """What the supervisor says is what the engine says."""
    for unit in scene.units:
        code, found = scene.person().get(f"/containers/{unit}/json")
        said = units.get(unit, {})
        if code != 200:
            if ledger.accounts[unit].wish is not Wish.UNSURE or said.get("container_id"):
                yield f"the engine has no {unit}"
        elif (found["Id"], _is_up(found)) != (said.get("container_id"), said.get("state") in UP):
            yield f"{unit} is {said.get('state')} in {said.get('container_id')}, for the engine {found['State']}"


def judged(scene: Scene, ledger: Ledger, before: Footprint) -> list[str]:
    """All that is wrong once it is quiet."""
    return [
        *ledger.faults,
        *unsettled(scene, ledger),
        *_counters(scene, ledger),
        *_leaks(scene, ledger, before),
        *_explanations(scene, ledger),
    ]


def _counters(scene: Scene, ledger: Ledger) -> Iterator[str]:
    """Restarts are as many as were caused: exactly, or, where an outage hid some, no more than there were starts.

    A containerd that was away may add one to each.
    """
    status = scene.status()
    if status is None:
        return
    counted = {unit["name"]: int(unit["restarts"]) for unit in status["units"]}
    confused = sum(one.kind in CONFUSES for one in scene.plan.injections)
    exits = _exits(scene) if not any(one.of.value == "supervisor" for one in ledger.outages) else {}
    for unit, account in ledger.accounts.items():
        caused, ended = (sum(kind in those for _, kind in account.done) for those in (RESTARTS, ENDS))
        starts, said = scene.starts(unit), counted.get(unit, -1)
        if scene.plan.shape is not Shape.WATCH and ledger.exact(unit):
            if said != caused:
                yield f"{unit} counts {said} restarts; {caused} were caused, and it was started {starts} times"
            if exits and exits.get(unit, 0) != ended:
                yield f"{unit} counts {exits.get(unit, 0):g} ends; {ended} were caused"
        elif said > starts - 1 + confused:
            yield f"{unit} counts {said} restarts, and was started {starts} times only, with {confused} doubtful ends"


def _exits(scene: Scene) -> dict[str, float]:
    found: dict[str, float] = {}
    for unit, value in EXITS.findall(scene.host.get("/metrics")):
        found[unit] = found.get(unit, 0) + float(value)
    return found


def _leaks(scene: Scene, ledger: Ledger, before: Footprint) -> Iterator[str]:
    now = footprint(scene)
    unsure = {unit for unit, account in ledger.accounts.items() if account.wish is Wish.UNSURE}
    gone = [name for name in before.containers - now.containers - unsure if not _is_there(scene, name)]
    if gone:
        yield f"these containers are gone: {sorted(gone)}"
    if len(more := now.containers - before.containers) > scene.new_containers:
        yield f"there are more containers than before: {sorted(more)}"
    if now.files > before.files + MORE_FILES:
        yield f"the supervisor has {now.files} descriptors, {before.files} before"
    if now.memory > before.memory + MORE_MEMORY:
        yield f"the supervisor takes {now.memory:.1f} MB, {before.memory:.1f} before"
    running = sum(_runs(scene, one["Id"]) for one in containers(scene)) + len(forgotten(scene))
    shims = scene.shims()
    cut = sum(one.kind in CUTS for one in scene.plan.injections)
    if not 0 <= len(shims) - running <= cut:
        yield f"{len(shims)} shims for {running} running containers: {shims}"
    groups = max((_containers_in(root) for root in leftovers.cgroups(scene.bed.ident)), default=0)
    if groups > running + cut:
        yield f"{groups} cgroups for {running} running containers"
    mounts = _mounts(scene)
    if mounts > running:
        yield f"{mounts} file systems of containers are mounted for {running} running ones"


def _runs(scene: Scene, container: str) -> bool:
    """By its inspect: an engine whose disk was full lists it wrongly for ever."""
    code, found = scene.person().get(f"/containers/{container}/json")
    return code == 200 and _is_up(found)


def _is_there(scene: Scene, container: str) -> bool:
    """By its inspect, too."""
    return bool(scene.person().get(f"/containers/{container}/json")[0] == 200)


def _containers_in(root: Path) -> int:
    return sum(path.is_dir() and bool(HEX.fullmatch(path.name)) for path in root.iterdir())


def _mounts(scene: Scene) -> int:
    lines = Path(f"/proc/{scene.bed.init_pid}/mountinfo").read_text().splitlines()
    return sum(f"{scene.data_root}/overlay2/" in line and "/merged " in line for line in lines)


def _explanations(scene: Scene, ledger: Ledger) -> Iterator[str]:
    """``why`` names what was done last, but for what could not be written when its supervisor was killed."""
    happened = {one.kind for one in scene.plan.injections}
    if happened & UNWRITTEN and Kind.KILL_SUPERVISOR in happened:
        return
    for unit, account in ledger.accounts.items():
        word = NAMED.get(account.done[-1][1]) if account.done and ledger.exact(unit) else None
        if word is not None:
            told = scene.host.cli("why", unit)
            if told.returncode or word not in told.stdout:
                yield f"why {unit} does not name {word!r}: {told.stdout}{told.stderr}"


def after_the_end(scene: Scene, code: int) -> Iterator[str]:
    """What is wrong when the supervisor has ended."""
    if code != 0:
        yield f"the supervisor ended with {code}: {scene.host.last_lines()}"
    left = {unit: len(found) for unit, found in scene.runs().items() if found}
    if scene.plan.shape is not Shape.WATCH and left:
        yield f"still running after the end: {left}"
    if scene.plan.shape not in PROXIED:
        below = f"{scene.bed.dir}/"
        here = processes.those(lambda one: any(below in word for word in one.command))
        yield from (f"left after the end: {one}" for one in here if one.name in {"dockerd", "containerd"})
    yield from (f"left after the end: {one}" for one in scene.left())
    yield from wrong_lines(scene.host.log)


def wrong_lines(log: list[str]) -> Iterator[str]:
    """Lines that are no JSON; only a kill -9 may cut one short."""
    for line in log:
        if line.startswith("{") and not line.endswith("}"):
            continue
        try:
            json.loads(line)
        except ValueError:
            yield f"no JSON in the log: {line[:300]}"
