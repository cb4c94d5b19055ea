"""A switch as others see it: its steps, its record, its end."""

from enum import StrEnum

from units.quantities import Instant
from units.records import dataclass
from units.spec import Switchable


class SwitchStep(StrEnum):
    """Where a switch stands. The same words in log, metric and docs."""

    CHECKING = "checking"
    DRAINING = "draining"
    STOPPING = "stopping"
    STARTING = "starting"
    PROVING = "proving"
    COMMITTING = "committing"
    REVERTING = "reverting"
    RESTORING = "restoring"


STEP_MEANING: dict[SwitchStep, str] = {
    SwitchStep.CHECKING: "nothing is touched yet: definition, image, room on the disk, or the contract, are looked at",
    SwitchStep.DRAINING: "user Docker is being stopped",
    SwitchStep.STOPPING: "the old console is being stopped",
    SwitchStep.STARTING: "the new console is being started, and has to become ready",
    SwitchStep.PROVING: "user Docker is being started in the new place, and has to serve",
    SwitchStep.COMMITTING: "the choice is being written down",
    SwitchStep.REVERTING: "it failed: what was started anew is being stopped",
    SwitchStep.RESTORING: "it failed: the old console and user Docker are being brought back",
}


class Result(StrEnum):
    """How a switch ended."""

    DONE = "done"
    REFUSED = "refused"
    """Before anything was touched."""
    ROLLED_BACK = "rolled-back"
    STUCK = "stuck"
    """It failed, and what was there before did not come back in time either; it is still being tried."""
    DROPPED = "dropped"
    """The host went down in between; it comes up with the old one."""


@dataclass(frozen=True, slots=True)
class Switch:
    """A switch under way."""

    of: Switchable
    origin: str
    target: str
    step: SwitchStep
    since: Instant
    """When it came to this step."""
    began: Instant
    token: int
    """Number of the last order that waits for an answer, and of the timer that counts."""
    request: int = 0
    cause: str = ""
    why: str = ""
    """Once it fails: what failed."""
    serving: bool = False
    """User Docker was wanted when it began, and has to serve when it ends."""
    moved: bool = False
    """The new console or place is in force."""
    anew: bool = False
    """The same console, in a new container."""
    stopgap: bool = False
    """Nobody asked: the chosen console does not run, and another takes its place until the next boot."""
    spent: tuple[tuple[str, float], ...] = ()
    """Steps that are over, and how many seconds each took."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """A switch that is over."""

    of: Switchable
    origin: str
    target: str
    result: Result
    why: str
    ended: Instant
    request: int
    spent: tuple[tuple[str, float], ...]
    cause: str


def in_words(outcome: Outcome) -> str:
    """How a switch ended, as a sentence."""
    kind = "storage context" if outcome.of is Switchable.STORAGE else outcome.of.value
    what = f"the {kind} {outcome.origin or 'of before'}"
    match outcome.result:
        case Result.DONE:
            return f"the {kind} is {outcome.target or 'the own one'} now"
        case Result.REFUSED:
            return f"nothing was touched: {outcome.why}"
        case Result.ROLLED_BACK:
            return f"{what} is back, for: {outcome.why}"
        case Result.STUCK:
            return f"{what} is not back in time, and still being tried; the switch failed for: {outcome.why}"
        case Result.DROPPED:
            return f"the host goes down; it comes up with {what}"
