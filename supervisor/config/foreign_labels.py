"""Turns a container of a watched host into a unit, by its labels and configuration. Pure."""

from collections.abc import Callable, Iterable, Iterator, Mapping

from supervisor.config.health_labels import PREFIX, WrongValueError, boolean, read_health, seconds
from supervisor.engine.decode import ContainerSummary
from supervisor.engine.discovery import DEPENDS_ON, PROJECT, compose_service
from units.bounded import UNREADABLE, quoted
from units.health import Check, Exec
from units.quantities import Seconds
from units.records import dataclass, replace
from units.spec import (
    Condition,
    ContainerId,
    Dependency,
    HealPolicy,
    Kind,
    OnFailure,
    OnUnhealthy,
    Policy,
    Rebuild,
    RestartPolicy,
    StopPolicy,
    UnitName,
    UnitSpec,
    Via,
)

ENABLE = "dockwarden.enable"
MONITOR = "autoheal.monitor.enable"
RESTART = "autoheal.restart.enable"
"""What the docker-autoheal of tmknight reads, which has no other label that opts in."""
ACTION = f"{PREFIX}action"
ITSELF = frozenset({"localhost", "127.0.0.1", "::1", "0.0.0.0"})  # noqa: S104 - nothing listens here
"""What people write for the container itself."""
STOP_TIMEOUT = ("dockwarden.stop.timeout", "autoheal.stop.timeout")

SETTLE = Seconds(5)
"""Compose re-creates the containers of a project one after another: the longest pause between two of them."""

LASTING = frozenset({"always", "unless-stopped"})
"""Restart policies with which the engine keeps a container running."""

MOST_COMPLAINTS = 8
"""About the labels of one container: of more only their number is told."""

OURS = "dockwarden.unit"
"""Of containers that ``dockwarden boot`` made: two supervisors would undo each other's work."""
MASTERS = {
    OURS: "dockwarden boot",
    "com.docker.swarm.task.id": "Swarm",
    "com.docker.swarm.service.id": "Swarm",
    "io.kubernetes.pod.uid": "Kubernetes",
    "supervisor_managed": "the supervisor of Home Assistant",
    "io.hass.type": "the supervisor of Home Assistant",
    "io.balena.supervised": "balena's supervisor",
    "io.balena.service-id": "balena's supervisor",
    "io.resin.supervised": "balena's supervisor",
    "com.hashicorp.nomad.alloc_id": "Nomad",
    "com.amazonaws.ecs.task-arn": "the agent of ECS",
    "net.azure-devices.edge.owner": "IoT Edge",
}
"""Labels of tools that restart and re-create their containers themselves."""


@dataclass(frozen=True, slots=True)
class WatchPolicy:
    """Options of this run of ``watch``."""

    everything: bool = False
    """Also containers without an enabling label."""
    autoheal_label: str = "autoheal"
    stop_timeout: Seconds | None = None
    """Where neither label nor container says one."""
    elsewhere: bool = False
    """Its labels may name other hosts to ask, which are then asked from here."""
    settle: Seconds = SETTLE
    own: frozenset[str] = frozenset()
    """Ids of the supervisor's own containers: never touched."""
    complain: Callable[[str, str, str, str], None] = lambda *_: None
    """Container, label, the problem, and the fix."""


def master_of(portrait: ContainerSummary) -> str:
    """Who looks after this container already; empty: nobody that we know."""
    return next((name for label, name in MASTERS.items() if label in portrait.labels), "")


def wanted(portrait: ContainerSummary, wants: WatchPolicy) -> bool:
    """Whether it is managed: decided by its own label, then autoheal's, then ``--all``.

    ``--all`` does not mean a container that somebody else manages; a label of its own does.
    """
    if any(portrait.container.startswith(own) for own in wants.own):
        return False
    if OURS in portrait.labels:
        if ENABLE in portrait.labels:
            wants.complain(
                portrait.name, ENABLE, f"{MASTERS[OURS]} already manages it; two supervisors would conflict", ""
            )
        return False
    for label in (ENABLE, wants.autoheal_label, MONITOR):
        said = _yes_or_no(portrait, label, wants)
        if said is not None:
            return said
    return wants.everything and not master_of(portrait)


def _yes_or_no(portrait: ContainerSummary, label: str, wants: WatchPolicy) -> bool | None:
    """``None``: it does not say, or makes no sense."""
    value = portrait.labels.get(label)
    if value is None:
        return None
    try:
        return boolean(value)
    except WrongValueError as error:
        wants.complain(portrait.name, label, f"{quoted(value)}: expected {error}", "")
    return None


def spec_of(
    portrait: ContainerSummary,
    names: Mapping[ContainerId, str],
    services: Mapping[tuple[str, str], tuple[UnitName, ...]],
    wants: WatchPolicy,
) -> UnitSpec:
    """The unit. ``names``: of all containers ever seen, by id; ``services``: the containers of Compose's services.

    A container whose labels cannot be read is left alone: it costs nobody else.
    """
    complaints = _Complaints(wants.complain)
    try:
        spec = _read(portrait, names, services, replace(wants, complain=complaints))
    except UNREADABLE as error:
        said = f"cannot be read ({error.__class__.__name__}: {str(error)[:80]}); the container is left alone"
        wants.complain(portrait.name, ENABLE, said, "")
        return _spec(portrait)
    if complaints.left_out:
        wants.complain(portrait.name, PREFIX, f"{complaints.left_out} further labels make no sense", "")
    return spec


class _Complaints:
    """Passes on the first few complaints about a container."""

    def __init__(self, complain: Callable[[str, str, str, str], None]) -> None:
        self._complain = complain
        self._told = 0
        self.left_out = 0

    def __call__(self, container: str, label: str, what: str, hint: str) -> None:
        if self._told < MOST_COMPLAINTS:
            self._told += 1
            self._complain(container, label, what, hint)
        else:
            self.left_out += 1


def _read(
    portrait: ContainerSummary,
    names: Mapping[ContainerId, str],
    services: Mapping[tuple[str, str], tuple[UnitName, ...]],
    wants: WatchPolicy,
) -> UnitSpec:
    touched = wanted(portrait, wants)

    def complain(key: str, what: str, hint: str) -> None:
        wants.complain(portrait.name, key, what, hint)

    wishes = read_health(portrait.labels, complain) if touched else None
    if wishes is not None and ACTION not in portrait.labels and _yes_or_no(portrait, RESTART, wants) is False:
        wishes = replace(wishes, heal=replace(wishes.heal, action=OnUnhealthy.HOOK))
    if wishes is not None and wishes.heal.action is OnUnhealthy.STOP and portrait.policy in LASTING:
        again = f"its restart policy ({portrait.policy}) starts it again with the engine"
        complain(ACTION, f"'stop' does not last: {again}", "")
    spec = _spec(portrait)
    return replace(
        spec,
        dependencies=tuple(dict.fromkeys(_edges(portrait, names, services))),
        stop=replace(spec.stop, timeout=_stop_timeout(portrait, wants)),
        heal=wishes.heal if wishes else spec.heal,
        checks=tuple(_confined(wishes.checks, wants, complain)) if wishes else (),
        relink=bool(wishes and wishes.relink),
        master="" if touched else spec.master,
        settle=wants.settle if compose_service(portrait.labels) else Seconds(0),
    )


def _confined(
    checks: Iterable[Check], wants: WatchPolicy, complain: Callable[[str, str, str], None]
) -> Iterator[Check]:
    """Who may label a container must not make the supervisor ask others, from its own network, in its name."""
    for check in checks:
        probe = check.probe
        if isinstance(probe, Exec) or not probe.host or wants.elsewhere:
            yield check
        elif probe.host in ITSELF:
            yield replace(check, probe=replace(probe, host=""))
        else:
            said = f"{quoted(probe.host)}: only the container itself is asked"
            complain(f"{PREFIX}{check.name}", said, "leave out the host, or watch with --checks-elsewhere")


def _spec(portrait: ContainerSummary) -> UnitSpec:
    """What it is without its labels: left alone."""
    return UnitSpec(
        name=UnitName(portrait.name),
        kind=Kind.FOREIGN,
        image=portrait.image,
        body="",
        config_hash="",
        restart=RestartPolicy(Policy.ALWAYS),
        stop=StopPolicy(portrait.stop_signal or "SIGTERM"),
        rebuild=Rebuild.CHANGED,
        heal=HealPolicy(OnUnhealthy.NONE),
        relink=False,
        master=master_of(portrait),
        expected=portrait.policy in LASTING,
    )


def _stop_timeout(portrait: ContainerSummary, wants: WatchPolicy) -> Seconds:
    for label in STOP_TIMEOUT:
        if (value := portrait.labels.get(label)) is not None:
            try:
                return seconds(value)
            except WrongValueError as error:
                wants.complain(portrait.name, label, f"{quoted(value)}: expected {error}", "")
    if portrait.stop_timeout is not None:
        return Seconds(portrait.stop_timeout)
    return StopPolicy().timeout if wants.stop_timeout is None else wants.stop_timeout


def _edges(
    portrait: ContainerSummary,
    names: Mapping[ContainerId, str],
    services: Mapping[tuple[str, str], tuple[UnitName, ...]],
) -> list[Dependency]:
    depends = _depends_on(portrait.labels, services)
    edges = []
    for via, held in portrait.joins:
        target = _resolve(held, names) or _the_one(depends)
        if target is not None:
            edges.append(_edge(target, via))
    edges += [_edge(UnitName(name), Via.LINK) for name in portrait.links]
    taken = (_resolve(held, names) for held in portrait.volumes_from)
    edges += [_edge(target, Via.VOLUMES) for target in taken if target is not None]
    bound = {edge.target for edge in edges}
    edges += [
        replace(_edge(target, Via.DEPENDS_ON), restart=again, group=group)
        for target, again, group in depends
        if target not in bound
    ]
    return [edge for edge in edges if edge.target != portrait.name]


def _edge(target: UnitName, via: Via) -> Dependency:
    return Dependency(target, via, Condition.STARTED, hard=False, on_failure=OnFailure.PROCEED)


def _resolve(held: str, names: Mapping[ContainerId, str]) -> UnitName | None:
    """The unit whose container this is or was; engines store ids, old versions of Compose sometimes names."""
    known = names.get(ContainerId(held))
    if known is not None:
        return UnitName(known)
    return UnitName(held) if held in names.values() else None


def _the_one(depends: list[tuple[UnitName, bool, str]]) -> UnitName | None:
    """An id that we never saw alive: Compose writes down that it depends on the one it joins, to be restarted with it.

    Where there is just one such, it is meant.
    """
    restarting = [target for target, again, _ in depends if again]
    return restarting[0] if len(restarting) == 1 else None


def _depends_on(
    labels: Mapping[str, str], services: Mapping[tuple[str, str], tuple[UnitName, ...]]
) -> list[tuple[UnitName, bool, str]]:
    """Compose's own label: ``service:condition:restart``, separated by commas. With the service of several replicas."""
    project = labels.get(PROJECT, "")
    found = []
    for entry in labels.get(DEPENDS_ON, "").split(","):
        service, _, rest = entry.partition(":")
        again = rest.rpartition(":")[2] == "true"
        names = services.get((project, service.strip()), ())
        found += [(name, again, service.strip() if len(names) > 1 else "") for name in names]
    return found
