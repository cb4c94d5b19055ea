"""The mode ``boot``: a host with a configuration, on an engine of our own or on one that runs already."""

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

import structlog
from structlog.typing import FilteringBoundLogger

from hooks.presence import HostHooks
from supervisor.app import Host
from supervisor.config.settings import Settings
from supervisor.dockerd.lazy_user_docker import LazyUserDocker
from supervisor.engine.discovery import OwnContainers
from supervisor.engine.port import Engine, EngineError, SystemEngine, UserEngine
from supervisor.logs.pipeline import LAST_WORDS, Pipeline, configure_logging
from supervisor.mode import Mode, OnCall, Options, Outside
from supervisor.preflight import BootError, Exit, find_engine, open_state, read_settings, refuse, settings_for_boot
from supervisor.runtime.loop import Inbox, Observer
from supervisor.state import paths
from supervisor.state.choices import Choices
from supervisor.state.lock import LockError, LockHeld, RunLock, engine_lock, state_lock
from supervisor.state.writer import SavedState
from units import links
from units.events import ConfigRead, ConfigRefused, Event
from units.memory import Clocks, recall, recall_engine
from units.records import replace
from units.spec import USER_DOCKER, Switchable
from units.troubles import Concern
from units.world import World, fresh_engine, new_world

if TYPE_CHECKING:
    from supervisor.dockerd.command_line import DaemonPlan
    from supervisor.dockerd.system_docker import SystemDocker
    from supervisor.dockerd.user_docker import UserDocker

NEEDS_RESTART = "rancher.system_docker has changed: that needs a restart of System Docker and of the supervisor"
PASSED_ON = frozenset({"HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy"})
"""Of our own environment, what user Docker gets besides ``rancher.docker.environment``."""


def boot(options: Options, runner: Callable[..., int]) -> int:
    """Check everything that can be checked before anything is touched, then run until the host goes down."""
    lines = configure_logging(options.log_format, options.log_level, targets=options.log_targets)
    log: FilteringBoundLogger = structlog.get_logger()
    last = options.state_dir / paths.LAST_CONFIG
    outside = Outside(read_settings=partial(read_settings, last=last))
    try:
        assert options.run_dir is not None
        with RunLock(options.run_dir):
            unsaved = open_state(options.state_dir)
            with state_lock(options.state_dir):
                reading = settings_for_boot(options.config, last)
                troubles = {Concern.STATE: unsaved, Concern.CONFIGURATION: reading.said}

                async def run() -> int:
                    mode = boot_mode(options, reading.settings, outside, log, lines, troubles=troubles)
                    with engine_lock(mode.url):
                        host = Host(options, mode, outside, log, lines)
                        host.handle_signals()
                        return await host.run()

                return runner(run)
    except BootError as error:
        return refuse(log, str(error), error.code)
    except LockHeld as error:
        return refuse(log, str(error), Exit.HELD)
    except LockError as error:
        return refuse(log, str(error), Exit.STATE)
    finally:
        lines.flush(LAST_WORDS)


def boot_mode(
    options: Options,
    settings: Settings,
    outside: Outside,
    log: FilteringBoundLogger,
    lines: Pipeline,
    *,
    troubles: Mapping[Concern, str] = MappingProxyType({}),
) -> Mode:
    """Raises BootError: there is no engine to be started, or no permission on its socket."""
    booting = _Booting(options, settings, outside, log, lines)
    return Mode(
        name="attached" if booting.plan is None else "embedded",
        url=booting.url,
        settings=settings,
        make_engine=booting.make_engine,
        first_world=booting.first_world,
        prepare=booting.prepare,
        read_config=booting.read_config,
        make_user_docker=outside.make_user_docker or booting.make_user_docker,
        gates=_all_gates,
        room=booting.room,
        observers=booting.observers,
        troubles={of: reason for of, reason in troubles.items() if reason},
        make_system_docker=None if booting.plan is None else booting.make_system_docker,
    )


def _all_gates(hooks: HostHooks) -> HostHooks:
    return hooks


class _Booting:
    """What the functions of the mode share."""

    def __init__(
        self, options: Options, settings: Settings, outside: Outside, log: FilteringBoundLogger, lines: Pipeline
    ) -> None:
        self._options = options
        self._settings = settings
        self._outside = outside
        self._log = log
        self._lines = lines
        self.plan = None if options.engine is not None else self._plan_engine()
        self._system_docker: SystemDocker | None = None
        environ = outside.environ if self.plan is None else {}  # An engine of ours is where we start it.
        named = options.engine if self.plan is None else f"unix://{self.plan.socket}"
        self.address = find_engine(named, environ, log)
        self.url = self.address.url

    def _plan_engine(self) -> "DaemonPlan":
        """How an engine of ours is started; checked before anything is touched. Raises BootError."""
        # Only a supervisor that starts an engine carries what that takes.
        from supervisor.dockerd.command_line import SystemDockerError, plan  # noqa: PLC0415 - as the comment says
        from supervisor.dockerd.system_docker import check  # noqa: PLC0415 - as above

        wanted = self._settings.system_docker
        try:
            made = plan(wanted.args, wanted.extra_args, {**self._outside.environ, **wanted.environment})
            check(made, self._log)
        except SystemDockerError as error:
            raise BootError(Exit.ENGINE, str(error)) from error
        return made

    def make_system_docker(self, inbox: Inbox) -> SystemEngine:
        """Only where the engine is ours."""
        from supervisor.dockerd.system_docker import SystemDocker  # noqa: PLC0415 - as above

        assert self.plan is not None
        log_file = self._options.state_dir / "system-docker.log"
        self._system_docker = SystemDocker(self.plan, inbox, self._log, log_file)
        return self._system_docker

    def observers(self) -> tuple[Observer, ...]:
        if self._system_docker is None:
            return ()
        from supervisor.dockerd.system_docker import OldLines  # noqa: PLC0415 - as above

        return (OldLines(self._system_docker, self._log),)

    def make_engine(self, on_call: OnCall) -> Engine:
        return self._outside.make_engine(self.address, on_call=on_call, lens=OwnContainers(), hide=self._lines.secrets)

    def make_user_docker(self, engine: Engine, inbox: Inbox) -> UserEngine:
        """Also where none is configured: the next reading of the configuration may want one."""
        spec = next((unit for unit in self._settings.units if unit.name == USER_DOCKER), None)
        docker = LazyUserDocker(partial(self._real_user_docker, engine, inbox), self._options.state_dir)
        try:
            if spec is not None:
                docker.prepare(spec.body, spec.config_hash)
        except EngineError as error:
            raise BootError(Exit.CONFIG, str(error)) from error
        return docker

    def _real_user_docker(self, engine: Engine, inbox: Inbox) -> "UserDocker":
        from supervisor.dockerd.command_line import PATH  # noqa: PLC0415 - only where there is one
        from supervisor.dockerd.user_docker import UserDocker  # noqa: PLC0415 - as above

        passed_on = {key: value for key, value in self._outside.environ.items() if key in PASSED_ON}
        environ = {"PATH": PATH} | passed_on
        return UserDocker(engine, inbox, self._log, state_dir=self._options.state_dir, environ=environ)

    def room(self) -> tuple[int, int]:
        """Where System Docker keeps its containers; of another's engine we do not know where."""
        root = self.plan.data_root if self.plan is not None else Path("/var/lib/docker")
        try:
            return self._outside.room(root if root.exists() else self._options.state_dir)
        except OSError:
            return 0, 0

    def first_world(self, kept: SavedState, clocks: Clocks, choices: Choices) -> World:
        settings = with_choices(self._settings, choices)
        units = recall(settings.units, kept.units, clocks, same_boot=kept.same_boot, same_host_boot=kept.same_host_boot)
        for warning in (*settings.warnings, *settings.link_problems()[1]):
            self._log.warning("config.warning", problem=str(warning))
        engine = recall_engine(fresh_engine(clocks.now, ours=self.plan is not None), kept.units, clocks)
        world = new_world(units, links.check(settings.units).links, settings.consoles, engine=engine)
        return replace(world, served=choices.served)

    async def read_config(self, choices: Choices) -> Event:
        try:
            settings = await self._outside.in_thread(self._outside.read_settings, self._options.config)
        except BootError as error:
            return ConfigRefused(str(error))
        problems, _ = settings.link_problems()
        if problems:
            return ConfigRefused("\n".join(map(str, problems)))
        choices.configure(settings.configured)
        self._lines.secrets.learn(settings.secrets)
        later = "" if self.plan is None or settings.system_docker == self._settings.system_docker else NEEDS_RESTART
        settings = with_choices(settings, choices)
        return ConfigRead(settings.units, settings.consoles, settings.supervisor.timing, later)

    async def prepare(self, engine: Engine | None) -> None:
        """Load the images that lie in a directory."""
        if engine is None or self._options.images is None:
            return
        from supervisor.engine.images import load_images  # noqa: PLC0415 - only where there are some

        stamps = self._options.state_dir / paths.IMAGE_STAMPS
        report = await load_images(self._options.images, engine, self._log, stamps=stamps, identity=self._identity())
        if report.loaded or report.failed:
            self._log.info("images.loaded", loaded=len(report.loaded), failed=len(report.failed))

    def _identity(self) -> str:
        """Another one when the engine's images are gone: a wiped data root is a new directory."""
        if self.plan is None:
            return self.url
        root = self.plan.data_root
        try:
            return f"{root}:{root.stat().st_ino}:{(root / 'image').stat().st_ino}"
        except OSError:
            return str(root)


def with_choices(settings: Settings, choices: Choices) -> Settings:
    """What the configuration and people's choices at run time come to."""
    return settings.choose(*(choices.chosen(of) for of in Switchable))
