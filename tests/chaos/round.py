"""One round: a host comes up, a plan happens to it, it calms down, and it is judged."""

import time
import traceback
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass, field

from tests.bed.bed import Bed
from tests.bed.leftovers import traces
from tests.boot.host import HostError
from tests.chaos.injections import strike
from tests.chaos.kinds import Shape
from tests.chaos.ledger import Ledger, Say, silent
from tests.chaos.plan import Plan
from tests.chaos.scene import AttachedScene, EmbeddedScene, Scene, WatchScene
from tests.chaos.user_scene import UserScene
from tests.chaos.verdict import after_the_end, footprint, judged, unsettled

SCENES: dict[Shape, Callable[[Plan, Bed], Scene]] = {
    Shape.ATTACHED: AttachedScene,
    Shape.EMBEDDED: EmbeddedScene,
    Shape.WATCH: WatchScene,
    Shape.USER: UserScene,
}
HANDS = 24
"""How many injections may be under way at a time."""
LOOK_PAUSE = 0.2
QUIET_FOR = 3.0
"""Seconds: a change of the configuration is carried out step by step."""
QUIET_WITHIN = 60.0
STRUCK_WITHIN = 120.0
"""Seconds on a machine of the usual speed."""
SLOWEST = 3.0
"""How many times longer the slowest machine may take."""
USUAL = 0.05
"""Seconds that ``_work`` takes there."""


@dataclass(slots=True)
class Outcome:
    plan: Plan
    complaints: list[str] = field(default_factory=list)
    done: list[str] = field(default_factory=list)
    """What became of each injection."""
    log: list[str] = field(default_factory=list)
    engine: list[str] = field(default_factory=list)
    """What the engine told and logged, if something went wrong."""
    seconds: float = 0

    @property
    def well(self) -> bool:
        return not self.complaints

    def as_text(self) -> str:
        verdict = self.complaints or ["all is well"]
        parts = [str(self.plan), "", *self.done, "", *verdict, "", *self.log, "", *self.engine]
        return "\n".join(parts) + "\n"


def play(plan: Plan, say: Say = silent) -> Outcome:
    """What comes of a plan. Call it in a thread that stays. ``say``: hears what happens as it happens."""
    outcome = Outcome(plan)
    began = time.monotonic()
    try:
        with Bed() as bed:
            ident = bed.ident
            _play_in(bed, plan, outcome, say)
        outcome.complaints += [f"left on the machine: {trace}" for trace in traces(ident)]
    except HostError as error:
        outcome.complaints.append(f"{error}")
    except Exception as error:  # noqa: BLE001 - one round must not cost the others
        outcome.complaints.append("".join(traceback.format_exception(error)))
    outcome.seconds = time.monotonic() - began
    return outcome


def _play_in(bed: Bed, plan: Plan, outcome: Outcome, say: Say) -> None:
    slow = slowness()
    scene = SCENES[plan.shape](plan, bed)
    try:
        scene.begin()
        before = footprint(scene)
        ledger = Ledger(scene.units, say)
        outcome.done = ledger.lines
        if not _carry_out(plan, scene, ledger, STRUCK_WITHIN * slow):
            outcome.complaints.append("not all injections came to an end")
        _wait_until_quiet(scene, ledger, QUIET_WITHIN * slow, say)
        outcome.complaints += judged(scene, ledger, before)
        if outcome.complaints:
            outcome.engine = scene.engine_tells()
        outcome.complaints += after_the_end(scene, scene.end())
    finally:
        outcome.log = scene.host.log
        scene.close()


def _carry_out(plan: Plan, scene: Scene, ledger: Ledger, limit: float) -> bool:
    """Whether all came to an end. The pauses between injections are the plan's."""
    began = time.monotonic()
    hands = ThreadPoolExecutor(HANDS, thread_name_prefix="injection")
    under_way = []
    for injection in plan.injections:
        time.sleep(max(0.0, began + injection.at - time.monotonic()))
        under_way.append(hands.submit(strike, scene, ledger, injection))
    done, late = wait(under_way, limit)
    for one in done:
        one.result()
    hands.shutdown(wait=not late, cancel_futures=True)
    return not late


def _wait_until_quiet(scene: Scene, ledger: Ledger, limit: float, say: Say) -> None:
    """Until nothing is wrong for a while. What keeps it from being so is told as it changes, for whoever waits."""
    until, told = time.monotonic() + limit, ""
    well_since = None
    while time.monotonic() < until:
        wrong = next(unsettled(scene, ledger), "")
        if not wrong:
            well_since = well_since or time.monotonic()
            if time.monotonic() - well_since >= QUIET_FOR:
                return
        else:
            well_since = None
            if wrong != told:
                say(f"not yet: {wrong[:200]}")
        told = wrong
        time.sleep(LOOK_PAUSE)


def slowness() -> float:
    """How many times slower than usual this machine is now, between 1 and ``SLOWEST``."""
    began = time.monotonic()
    _work()
    return min(SLOWEST, max(1.0, (time.monotonic() - began) / USUAL))


def _work() -> int:
    return sum(number * number % 7 for number in range(500_000))
