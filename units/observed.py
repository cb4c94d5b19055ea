"""One container as it was seen, by a list or by an inspect."""

from units.health import Health
from units.quantities import Seconds
from units.records import dataclass
from units.spec import ContainerId, UnitName, UnitSpec
from units.unit import Beyond, Look


@dataclass(frozen=True, slots=True)
class Observed:
    """One container of ours, as a snapshot found it."""

    unit: UnitName
    container: ContainerId
    name: str
    """Without the leading slash."""
    running: bool
    created: bool
    """Made and never started."""
    exit_code: int = 0
    oom: bool = False
    health: Health = Health.NONE
    config_hash: str = ""
    ran_for: Seconds = Seconds(0)
    """For a running one: how long it runs already; 0 when the engine did not say."""
    variant: str = ""
    """Which console it is; empty for everything else."""
    look: Look | None = None
    """``None``: it was not inspected."""
    started: float = 0.0
    """For a running one: since when, in seconds since 1970; 0: unknown."""
    spec: UnitSpec | None = None
    """For a foreign container: the unit that its labels and its configuration make of it."""
    displaced: str = ""
    """For user Docker: why where it runs is no longer where its storage context is."""
    beyond: Beyond = Beyond.NOTHING
    """Paused (it runs), or restarting, removing or dead (it does not): nothing is done about such a container."""
    hint: bool = False
    """It was only listed: lists lag behind, and may stay wrong. What differs is a fact once an inspect shows it."""
    pid: int = 0
    """Of its main process, as its engine counts; 0: it does not run, or was only listed."""
    lifeless: bool = False
    """Its engine says that it runs, and its main process has been gone for a while."""
    unread: str = ""
    """Why an inspect of it was not answered; empty: it was, or none was asked for."""
