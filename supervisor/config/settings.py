"""The typed settings of a configuration, made by ``parsing``. Pure."""

from collections.abc import Mapping
from dataclasses import field

from supervisor.config.tree import ConfigError, Location, Problem
from units import links
from units.quantities import Seconds
from units.records import dataclass, replace
from units.spec import CONSOLE, USER_DOCKER, RestartPolicy, StopPolicy, Switchable, UnitName, UnitSpec
from units.tables.console import undefined
from units.tables.storage import placed
from units.troubles import Timing

__all__ = ["ConfigError", "Reading", "Settings", "SupervisorSettings", "SystemDockerSettings", "UserDockerSettings"]

TLS_ARGS = (
    "--tlsverify",
    "--tlscacert=/etc/docker/tls/ca.pem",
    "--tlscert=/etc/docker/tls/server-cert.pem",
    "--tlskey=/etc/docker/tls/server-key.pem",
    "--host=tcp://0.0.0.0:2376",
)


@dataclass(frozen=True, slots=True)
class SystemDockerSettings:
    """``rancher.system_docker``. Empty ``args`` mean the built-in ones."""

    args: tuple[str, ...] = ()
    extra_args: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class UserDockerSettings:
    """``rancher.docker``. Without that key a host has no user Docker."""

    daemon: SystemDockerSettings = SystemDockerSettings()
    storage_context: str = CONSOLE
    engine: str = ""
    """Empty means: the one that the storage context brings, else the shipped one."""
    tls: bool = False
    tls_args: tuple[str, ...] = TLS_ARGS
    pem: Mapping[str, str] = field(default_factory=dict)
    """Of TLS_FILES, those that are configured."""


@dataclass(frozen=True, slots=True)
class SupervisorSettings:
    """``rancher.supervisor``: the defaults of every unit, and what concerns all of them."""

    restart: RestartPolicy = RestartPolicy()
    stop: StopPolicy = StopPolicy()
    shutdown_total: Seconds = Seconds(60)
    snapshot_period: Seconds = Seconds(30)
    pull: bool = True

    @property
    def timing(self) -> Timing:
        return Timing(self.snapshot_period, self.shutdown_total)


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings that this version uses."""

    units: tuple[UnitSpec, ...] = ()
    system_docker: SystemDockerSettings = SystemDockerSettings()
    supervisor: SupervisorSettings = SupervisorSettings()
    environment: Mapping[str, str] = field(default_factory=dict)
    warnings: tuple[Problem, ...] = ()
    places: Mapping[str, Location] = field(default_factory=dict)
    """Where each unit was defined."""
    consoles: tuple[UnitSpec, ...] = ()
    """All definitions of the unit ``console``; ``units`` has the configured one."""
    user_docker: UserDockerSettings | None = None
    secrets: tuple[str, ...] = ()
    """Values of the units' definitions whose names suggest secrets: never shown."""

    @property
    def configured(self) -> dict[Switchable, str]:
        """The configured console, storage context and engine."""
        docker = self.user_docker or UserDockerSettings()
        console = next((spec.variant for spec in self.units if spec.name == CONSOLE), "")
        return {
            Switchable.CONSOLE: console,
            Switchable.STORAGE: docker.storage_context,
            Switchable.ENGINE: docker.engine,
        }

    def choose(self, console: str, storage: str, engine: str) -> "Settings":
        """These settings with another console, storage context and engine, as far as they exist."""
        by_name = {spec.variant: spec for spec in self.consoles}
        if console and self.consoles and console not in by_name:
            by_name[console] = undefined(console)
        names = {spec.name for spec in self.units}
        units = []
        for spec in self.units:
            if spec.name == CONSOLE:
                units.append(by_name.get(console, spec))
            elif spec.name == USER_DOCKER:
                units.append(replace(placed(spec, UnitName(storage)) if storage in names else spec, engine=engine))
            else:
                units.append(spec)
        return replace(self, units=tuple(units), consoles=tuple(by_name.values()))

    def unmet(self, console: str, storage: str) -> str:
        """What was chosen and is not there any more, and what is in its place; empty when all is there."""
        there = {spec.variant for spec in self.consoles}
        names = {spec.name for spec in self.units}
        said = []
        if self.consoles and console not in {*there, self.configured[Switchable.CONSOLE]}:
            said.append(f"the chosen console {console} is not defined any more; an existing container of it is used")
        if USER_DOCKER in names and storage not in {*names, usual := self.configured[Switchable.STORAGE]}:
            said.append(f"the chosen storage context {storage} is not defined any more; user Docker runs in {usual}")
        return "; ".join(said)

    def link_problems(self) -> tuple[tuple[Problem, ...], tuple[Problem, ...]]:
        """Errors and warnings of the dependency graph, each at the place where its unit was defined."""
        checked = links.check(self.units)

        def told(text: str) -> Problem:
            unit = text.removeprefix("cycle: ").split(":")[0].split(" ")[0]
            return Problem(self.places.get(unit, Location("rancher.services")), f"rancher.services.{unit}", text)

        return tuple(map(told, checked.errors)), tuple(map(told, checked.warnings))


@dataclass(frozen=True, slots=True)
class Reading:
    """What was read, and why that is not the configuration on disk; empty when it is."""

    settings: Settings
    said: str = ""
