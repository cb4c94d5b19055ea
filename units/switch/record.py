"""The record of a switch: its steps, its state, its outcome."""

from enum import StrEnum

from units.quantities import Instant
from units.records import dataclass
from units.spec import Switchable


class SwitchStep(StrEnum):
    """The step a switch is in. The same words in log, metric and docs."""

    CHECKING = "checking"
    DRAINING = "draining"
    STOPPING = "stopping"
    STARTING = "starting"
    PROVING = "proving"
    COMMITTING = "committing"
    REVERTING = "reverting"
    RESTORING = "restoring"


STEP_MEANING: dict[SwitchStep, str] = {
    SwitchStep.CHECKING: "checking definition, image, disk space and requirements; nothing is changed yet",
    SwitchStep.DRAINING: "user Docker is being stopped",
    SwitchStep.STOPPING: "the old console is being stopped",
    SwitchStep.STARTING: "the new console is being started and must become ready",
    SwitchStep.PROVING: "user Docker is being started in the new place and must serve",
    SwitchStep.COMMITTING: "the choice is being saved",
    SwitchStep.REVERTING: "failed: what the switch started is being stopped",
    SwitchStep.RESTORING: "failed: the previous console and user Docker are being restored",
}


class SwitchResult(StrEnum):
    """How a switch ended."""

    DONE = "done"
    REFUSED = "refused"
    """Before anything was touched."""
    ROLLED_BACK = "rolled-back"
    STUCK = "stuck"
    """It failed, and the previous state did not come back in time either; it is still being retried."""
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
    """Automatic: the chosen console does not run, and another takes its place until the next boot."""
    spent: tuple[tuple[str, float], ...] = ()
    """Steps that are over, and how many seconds each took."""


@dataclass(frozen=True, slots=True)
class SwitchOutcome:
    """A switch that is over."""

    of: Switchable
    origin: str
    target: str
    result: SwitchResult
    why: str
    ended: Instant
    request: int
    spent: tuple[tuple[str, float], ...]
    cause: str


def in_words(outcome: SwitchOutcome) -> str:
    """How a switch ended, as a sentence."""
    kind = "storage context" if outcome.of is Switchable.STORAGE else outcome.of.value
    what = f"the {kind} {outcome.origin or 'in use before'}"
    match outcome.result:
        case SwitchResult.DONE:
            return f"the {kind} is {outcome.target or 'the default one'} now"
        case SwitchResult.REFUSED:
            return f"switch refused, nothing was changed: {outcome.why}"
        case SwitchResult.ROLLED_BACK:
            return f"switch failed, {what} was restored: {outcome.why}"
        case SwitchResult.STUCK:
            return f"switch failed, and {what} is not restored yet (still retrying): {outcome.why}"
        case SwitchResult.DROPPED:
            return f"the host goes down; it boots with {what}"
