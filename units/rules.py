"""The rules by which is decided, each with a name that stays, and the record of one decision."""

from collections.abc import Mapping
from typing import TypeAlias

from units.records import dataclass
from units.unit import Reason, UnitName

Value: TypeAlias = str | int | float
Inputs: TypeAlias = tuple[tuple[str, Value], ...]

RULES: Mapping[str, str] = {
    "restart.immediate": "the first death after a good run: started again at once",
    "restart.backoff": "it died again too soon: started again after a delay that doubles",
    "restart.crash-loop": "restarted too often within the interval: only tried now and then",
    "restart.give-up": "its restart policy does not let it run again",
    "restart.rest": "it ended well and has done what it was for",
    "restart.remake": "its container joins one that is gone: made anew, then started",
    "restart.refused": "the engine will refuse this start again: only tried now and then",
    "restart.engine-away": "the engine did not answer: tried again soon, which costs the unit nothing",
    "restart.not-serving": "it runs and does not serve in time: stopped and started again",
    "restart.external": "somebody else started it, or a start of ours came after its deadline",
    "restart.resumed": "decided before this supervisor started, and carried out by it",
    "restart.renewed": "its next start needs a new container for what it holds on to",
    "volumes.remade": "the container that holds its volumes was removed: made anew",
    "death.await-verdict": "it died after a stop signal, or with its owner: it is soon known whose wish that was",
    "death.left-to-engine": "somebody else's container died: its engine's restart policy or its people answer that",
    "stop.respected": "somebody stopped it through the engine: it stays stopped",
    "stop.revoked": "the engine stopped it as it went down, not a person: wanted as before",
    "stop.unkillable": "it survived every SIGKILL: left alone",
    "heal.restart": "unhealthy: restarted",
    "heal.recreate": "unhealthy: started again in a new container",
    "heal.stop": "unhealthy: stopped, as its definition wants",
    "heal.signal": "unhealthy: sent a signal, and left running",
    "heal.withhold": "unhealthy, and nothing is done about it now",
    "heal.calm": "healthy for long enough: it counts as well again",
    "relink.net": "the network that it shares is of a run that is over",
    "relink.pid": "the pid namespace that it lives in is of a run that is over",
    "relink.ipc": "the ipc namespace that it shares is of a run that is over",
    "relink.links": "a link of it leads to what is over",
    "relink.volumes_from": "the volumes that it takes over are other ones now",
    "relink.depends_on": "what it depends on was started since, and `restart: true` wants it to follow",
    "relink.wait": "it holds on to what is over; brought back in step a little later",
    "relink.dry": "it holds on to what is over; a dry run only says so",
    "relink.left-behind": "its engine could not start it without its peer: ours to do if the engine does not",
    "hold.dependency": "it waits for a unit that has failed or is not wanted",
    "image.pull": "its image is not there: fetched",
    "image.missing": "its image is not to be had: looked for again, ever less often",
    "config.changed": "its definition is another one now",
    "config.gone": "the configuration does not define it any more",
    "context.follow": "user Docker follows its storage context",
    "deadline.overrun": "a oneshot ran for longer than it may: stopped",
    "ask.start": "somebody wants it started",
    "ask.stop": "somebody wants it stopped",
    "ask.restart": "somebody wants it restarted",
    "ask.reset": "somebody wants its failures forgotten",
    "shutdown.stop": "the host goes down",
}
"""All rules, and what each means. A switch has one for each of its steps and results besides: ``switch.proving``."""


@dataclass(frozen=True, slots=True)
class Decision:
    """One decision about one unit."""

    unit: UnitName
    rule: str
    """One of RULES."""
    outcome: str
    """What is done, in words."""
    inputs: Inputs = ()
    """What it was decided from, in the order in which a person wants to know."""
    cause: str = ""
    restart: Reason | None = None
    """The restart that it leads to, unless something comes between; ``None``: to none."""
