"""The composition root of ``dockwarden boot``: the one place that knows concrete classes and exit codes."""

import asyncio
import os
import random
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import structlog
from structlog.typing import FilteringBoundLogger

from hooks.presence import HostHooks
from metrics import Metrics
from supervisor.config.settings import Settings
from supervisor.dockerd.lazy_user_docker import LateUserDocker
from supervisor.engine.docker import DockerEngine
from supervisor.engine.port import EngineError
from supervisor.http.access import Access, ControlError
from supervisor.http.control.server import Control
from supervisor.http.pages.endpoints import serve_pages
from supervisor.http.server import PagesError
from supervisor.journal.boot_chart import BootChart
from supervisor.journal.journal import Journal
from supervisor.journal.record_file import RecordsFile
from supervisor.journal.record_file import load as load_records
from supervisor.logs.pipeline import Pipeline, configure_logging
from supervisor.logs.timestamps import as_iso
from supervisor.preflight import BootError, Exit, check_links, open_state, read_settings, refuse
from supervisor.runtime.engine_watch import EngineTooOldError
from supervisor.runtime.health_scheduler import shown
from supervisor.runtime.heartbeat import Heartbeat
from supervisor.runtime.loop import Inbox, Observer
from supervisor.runtime.sd_notify import Systemd
from supervisor.runtime.shell import Shell, Timing
from supervisor.runtime.switch_actions import Switches
from supervisor.state.choices import Choices
from supervisor.state.file import StateFile
from supervisor.state.lock import LockError, LockHeld, RunLock
from supervisor.state.writer import Boot, Keeper, Kept, read
from supervisor.version import VERSION
from supervisor.views.status import Context, status
from units import links
from units.events import ConfigRead, ConfigRefused, Event
from units.memory import Clocks, recall
from units.quantities import Instant, Seconds
from units.records import dataclass
from units.spec import USER_DOCKER, Switchable
from units.world import World, new_world

if TYPE_CHECKING:
    from hooks.notifier import Notifier, Receiver
    from supervisor.dockerd.system_docker import DaemonState, SystemDocker
    from supervisor.dockerd.user_docker import UserDocker
    from supervisor.http.control.routes import Api
    from supervisor.http.pages.status_page import StatusPage
    from supervisor.logs.targets import Wanted
    from supervisor.runtime.recreate import Recreations

ENGINE_GRACE = Seconds(30)
"""SIGTERM to SIGKILL for an engine of our own; without live-restore it stops its containers first (15 s)."""


PASSED_ON = frozenset({"HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy"})
"""Of our own environment, what user Docker gets besides ``rancher.docker.environment``."""


LAST_WORDS = 1.0
"""Seconds at the end for a log reader that is behind."""


RECORDS = "records"
"""Name of the file, in the state directory, that keeps the last records over a restart of ours."""


CATCH_UP = 0.05
"""Seconds between two pieces for a log reader that is behind; a pipe takes 64 KiB each time."""


@dataclass(frozen=True, slots=True)
class Options:
    """The command line of ``dockwarden boot``."""

    config: tuple[Path, ...]
    engine: str | None
    state_dir: Path
    run_dir: Path
    images: Path | None
    listen: str | None
    log_format: str
    log_level: str
    receivers: "tuple[Receiver, ...]" = ()
    """Who is told of what was done."""
    hooks: Path = Path("/etc/dockwarden/hooks.d")
    """Where those lie that are told of what happens, and asked before it does."""
    log_targets: "tuple[Wanted, ...]" = ()
    """Empty: stdout."""
    access: Access = Access()
    """Who besides root may use the control socket."""
    metrics_units: int = 1000
    """So many units have series of their own."""


def boot(options: Options, runner: Callable[..., int]) -> int:
    """Check everything that can be checked before anything is touched, then run until the host goes down."""
    lines = configure_logging(options.log_format, options.log_level, targets=options.log_targets)
    log: FilteringBoundLogger = structlog.get_logger()
    try:
        settings = read_settings(options.config)
        check_links(settings)
        with RunLock(options.run_dir):
            store = open_state(options.state_dir, log)
            return runner(lambda: Host(options, settings, store, log, lines).run())
    except BootError as error:
        return refuse(log, str(error), error.code)
    except LockHeld as error:
        return refuse(log, str(error), Exit.HELD)
    except LockError as error:
        return refuse(log, str(error), Exit.STATE)
    finally:
        lines.flush(LAST_WORDS)


class Host:
    """One run of ``dockwarden boot``."""

    def __init__(
        self, options: Options, settings: Settings, store: StateFile, log: FilteringBoundLogger, lines: Pipeline
    ) -> None:
        self._options = options
        self._settings = settings
        self._store = store
        self._log = log
        self._lines = lines
        lines.secrets.learn(settings.secrets)
        self._catching_up: asyncio.TimerHandle | None = None
        self._started = time.time()
        self._recreations: Recreations | None = None
        self._daemon_state: DaemonState | None = None
        self._docker = self._system_docker()
        self._url = options.engine or f"unix://{self._docker.plan.socket}" if self._docker else str(options.engine)
        self._check_socket()

    def _system_docker(self) -> "SystemDocker | None":
        if self._options.engine is not None:
            return None
        # Only who starts an engine carries what that takes.
        from supervisor.dockerd.command_line import SystemDockerError, plan  # noqa: PLC0415
        from supervisor.dockerd.system_docker import SystemDocker  # noqa: PLC0415

        wanted = self._settings.system_docker
        try:
            daemon = SystemDocker(
                plan(wanted.args, wanted.extra_args, os.environ | dict(wanted.environment)),
                self._log,
                self._note_daemon,
                self._options.state_dir / "system-docker.log",
            )
            daemon.check()
        except SystemDockerError as error:
            raise BootError(Exit.ENGINE, str(error)) from error
        return daemon

    def _note_daemon(self, state: "DaemonState") -> None:
        self._daemon_state = state

    def _check_socket(self) -> None:
        """A socket that is not there may come; one that we may not use will not change its mind."""
        path = self._url.removeprefix("unix://")
        if self._url.startswith("unix://") and Path(path).exists() and not os.access(path, os.R_OK | os.W_OK):
            raise BootError(
                Exit.PERMISSION, f"no permission on the engine's socket {path}: run as root or join its group"
            )

    async def run(self) -> int:
        loop = asyncio.get_running_loop()
        metrics = Metrics(
            wall=time.time,
            now=loop.time,
            version=VERSION,
            most_units=self._options.metrics_units,
            snapshot_period=self._settings.supervisor.snapshot_period,
        )
        inbox = Inbox(loop.time, f"{random.SystemRandom().randrange(16**4):04x}")
        try:
            engine = self._make_engine(metrics.engine_call)
        except EngineError as error:
            raise BootError(Exit.ENGINE, str(error)) from error
        self._recreations = self._make_recreations(engine)
        boot_id = Boot(_host_boot_id())
        kept = read(self._store, boot_id)
        choices = self._choose()
        user_docker = self._user_docker(engine, inbox)
        switches = Switches(engine, inbox, choices, user_docker, self._log, room=self._room)
        metrics.restore(kept.counters)
        records = self._options.state_dir / RECORDS
        journal = Journal(
            self._log,
            self._to_wall,
            lambda number: control.asker(number),  # noqa: PLW0108 - made below
            kept=load_records(records, self._log),
            debug=self._options.log_level == "debug",
        )
        self._lines.know(journal.about)
        journal.begin(_beginning(kept), self._started)
        records_file = RecordsFile(records, journal, self._log)
        keeper = Keeper(
            self._store, boot_id, self._clocks, self._log, counters=metrics.counted, failed=metrics.state_failed
        )
        world = self._first_world(kept)
        boot_chart = BootChart(self._to_wall, Instant(loop.time()), world.units.values())
        switched_off = self._options.state_dir / "hooks-off"
        hooks = HostHooks(self._options.hooks, metrics.hook_ran, self._log, time.time, switched_off)

        def make_api() -> "Api":
            from supervisor.http.control.routes import Api  # noqa: PLC0415 - most supervisors are asked once a month

            return Api(
                inbox=inbox,
                world=lambda: shell.world,
                status=lambda: self._status(shell.world, user_docker),
                journal=journal,
                engine=engine,
                choices=choices,
                user_docker=user_docker,
                checks=lambda name: shown(shell.outcomes(name), self._to_wall),
                hooks=hooks,
                boot=boot_chart.told,
            )

        control = Control(
            run_dir=self._options.run_dir,
            journal=journal,
            make_api=make_api,
            log=self._log,
            access=self._options.access,
        )
        systemd = Systemd(os.environ, loop.time, os.getpid())
        notifier = self._make_notifier(metrics)
        shell = Shell(
            world,
            engine,
            inbox,
            self._log,
            gauges=metrics,
            keeper=keeper,
            observers=(
                journal,
                records_file,
                boot_chart,
                metrics,
                *notifier,
                hooks,
                systemd,
                *self._more_observers(),
                control,  # Whoever gets an answer finds all that was told before it.
            ),
            chance=random.random,
            timing=Timing(self._settings.supervisor.snapshot_period, self._settings.supervisor.shutdown_total),
            read_config=self._read_config,
            prepare=lambda: self._prepare(engine),
            user_docker=user_docker,
            switches=switches,
            recreations=self._recreations,
            gates=self._gates(hooks),
        )
        metrics.watch_world(lambda: shell.world, self._to_wall, lambda: inbox.depth, lambda: user_docker.report.version)
        self._handle_signals(shell, inbox, hooks)
        self._log.info(
            "boot.started",
            units=len(world.units),
            engine=self._url,
            mode=self._mode,
            run_dir=str(self._options.run_dir),
        )

        def tend() -> None:
            self._tend_log()
            systemd.beat(shell.world)

        beat = Heartbeat(metrics.observe_loop_lag, tend)
        try:
            return await self._serve(shell, control, metrics, lambda: self._page(shell, journal, user_docker))
        finally:
            beat.stop()
            for one in notifier:
                one.close()
            await hooks.close()
            await records_file.close()
            await engine.close()

    def _gates(self, hooks: HostHooks) -> HostHooks | None:
        """Who is asked before a unit of ours is started or stopped."""
        return hooks

    def _make_notifier(self, metrics: Metrics) -> "tuple[Notifier, ...]":
        """None where nobody wants to be told."""
        if not self._options.receivers:
            return ()
        from hooks.notifier import Notifier  # noqa: PLC0415 - as the docstring says

        return (Notifier(self._options.receivers, metrics.notified, self._log, time.time),)

    def _make_engine(self, on_call: Callable[[str, str, float], None]) -> DockerEngine:
        """Raises EngineError for a URL that is none."""
        return DockerEngine(self._url, on_call=on_call, hide=self._lines.secrets)

    def _make_recreations(self, engine: DockerEngine) -> "Recreations | None":  # noqa: ARG002
        """Only what somebody else made has to be copied: our own units are made from their definitions."""
        return None

    def _more_observers(self) -> tuple[Observer, ...]:
        return ()

    async def _prepare(self, engine: DockerEngine) -> None:
        """At each connection, before the units are looked at."""
        await self._load_images(engine)

    async def _serve(self, shell: Shell, control: Control, metrics: Metrics, page: Callable[[], "StatusPage"]) -> int:
        pages = None
        docker_run = None
        try:
            await control.start()
            if self._options.listen:
                pages = await serve_pages(self._options.listen, metrics, lambda: shell.world, page)
            if self._docker is not None:
                docker_run = asyncio.create_task(self._docker.run(), name="system-docker")
            await _run(shell)
        except (PagesError, ControlError) as error:
            raise BootError(Exit.FAILED, str(error)) from error
        except BootError:
            if self._docker is not None:
                await self._docker.stop(ENGINE_GRACE)  # Started by us, and of no use to us.
            raise
        finally:
            if pages is not None:
                await pages.close()
            await control.close()
            if docker_run is not None:
                docker_run.cancel()
        if self._docker is not None:
            await self._docker.stop(ENGINE_GRACE)
        self._log.info("shutdown.done", left_running=shell.gave_up)
        return Exit.FAILED if shell.gave_up else Exit.OK

    @property
    def _mode(self) -> str:
        return "attached" if self._docker is None else "embedded"

    def _choose(self) -> Choices:
        """What the configuration and people's choices at run time come to; from here on the settings are that."""
        store = StateFile(self._options.state_dir / "choices.json", self._log)
        self._choices = choices = Choices(store, self._settings.configured)
        self._settings = self._with_choices(self._settings)
        if (cut := choices.interrupted) is not None:
            self._log.warning("switch.interrupted", **cut, reason="the supervisor ended in the middle of it")
        return choices

    def _with_choices(self, settings: Settings) -> Settings:
        return settings.choose(*(self._choices.chosen(of) for of in Switchable))

    def _user_docker(self, engine: DockerEngine, inbox: Inbox) -> LateUserDocker:
        """Also where none is configured: the next reading of the configuration may want one."""
        spec = next((unit for unit in self._settings.units if unit.name == USER_DOCKER), None)
        state_dir = self._options.state_dir

        def make() -> "UserDocker":
            from supervisor.dockerd.command_line import PATH as DAEMON_PATH  # noqa: PLC0415 - only where there is one
            from supervisor.dockerd.user_docker import UserDocker  # noqa: PLC0415 - as above

            environ = {"PATH": DAEMON_PATH} | {key: value for key, value in os.environ.items() if key in PASSED_ON}
            return UserDocker(engine, inbox, self._log, state_dir=state_dir, environ=environ)

        docker = LateUserDocker(make, state_dir)
        try:
            if spec is not None:
                docker.prepare(spec.body, spec.config_hash)
        except EngineError as error:
            raise BootError(Exit.CONFIG, str(error)) from error
        return docker

    def _room(self) -> tuple[int, int]:
        """Free and all bytes where System Docker keeps its containers; of another's engine we do not know where."""
        root = self._docker.plan.data_root if self._docker is not None else Path("/var/lib/docker")
        try:
            found = os.statvfs(root if root.exists() else self._options.state_dir)
        except OSError:
            return 0, 0
        return found.f_bavail * found.f_frsize, found.f_blocks * found.f_frsize

    def _first_world(self, kept: Kept) -> World:
        units = recall(
            self._settings.units,
            kept.units,
            self._clocks(),
            same_boot=kept.same_boot,
            same_host_boot=kept.same_host_boot,
        )
        for warning in (*self._settings.warnings, *check_links(self._settings)):
            self._log.warning("config.warning", problem=str(warning))
        return new_world(units, links.check(self._settings.units).links, self._settings.consoles)

    async def _read_config(self) -> Event:
        try:
            settings = await asyncio.to_thread(read_settings, self._options.config)
        except BootError as error:
            return ConfigRefused(str(error))
        self._choices.configure(settings.configured)
        self._lines.secrets.learn(settings.secrets)
        settings = self._with_choices(settings)
        return ConfigRead(settings.units, settings.consoles)

    async def _load_images(self, engine: DockerEngine) -> None:
        if self._options.images is None:
            return
        from supervisor.engine.images import load_images  # noqa: PLC0415 - only where there are some

        stamps = self._options.state_dir / "images"
        report = await load_images(self._options.images, engine, self._log, stamps=stamps, identity=self._identity())
        if report.loaded or report.failed:
            self._log.info("images.loaded", loaded=len(report.loaded), failed=len(report.failed))

    def _identity(self) -> str:
        """Another one when the engine's images are gone: a wiped data root is a new directory."""
        if self._docker is None:
            return self._url
        root = self._docker.plan.data_root
        try:
            return f"{root}:{root.stat().st_ino}:{(root / 'image').stat().st_ino}"
        except OSError:
            return str(root)

    def _handle_signals(self, shell: Shell, inbox: Inbox, hooks: HostHooks) -> None:
        loop = asyncio.get_running_loop()

        def end(name: str) -> None:
            if shell.shut_down(name) >= 3:
                self._log.error("shutdown.forced", reason="asked three times")
                os._exit(Exit.FAILED)

        for sign in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(sign, end, sign.name)

        async def reread() -> None:
            inbox.put(await self._read_config())

        rereads: set[asyncio.Task[None]] = set()

        def reload() -> None:
            self._lines.reopen()
            hooks.reload()
            task = asyncio.create_task(reread(), name="reload")
            rereads.add(task)
            task.add_done_callback(rereads.discard)

        loop.add_signal_handler(signal.SIGHUP, reload)

    def _tend_log(self) -> None:
        """A reader that had stopped gets what waited for it, and is told what it missed."""
        if self._lines.behind and self._catching_up is None:
            self._catch_up()
        else:
            self._lines.tend(self._log)

    def _catch_up(self) -> None:
        """By a timer, not by a writer of the loop: that would make the terminal non-blocking for its other users."""
        self._lines.flush()
        later = asyncio.get_running_loop().call_later
        self._catching_up = later(CATCH_UP, self._catch_up) if self._lines.behind else None

    def _clocks(self) -> Clocks:
        return Clocks(Instant(asyncio.get_running_loop().time()), time.time())

    def _to_wall(self, instant: Instant) -> float:
        return self._clocks().to_wall(instant)

    def _status(self, world: World, docker: LateUserDocker) -> dict[str, Any]:
        return status(world, self._context(docker))

    def _context(self, docker: LateUserDocker) -> Context:
        daemon = self._daemon_state
        return Context(
            mode=self._mode,
            url=self._url,
            to_wall=self._to_wall,
            started=self._started,
            daemon=None if daemon is None else f"{daemon.phase}: {daemon.reason}",
            daemon_pid=None if daemon is None else daemon.pid,
            enabled={of: self._choices.chosen(of) for of in Switchable},
            user_docker=docker.report,
        )

    def _page(self, shell: Shell, journal: Journal, docker: LateUserDocker) -> "StatusPage":
        from supervisor.http.pages.status_page import StatusPage  # noqa: PLC0415 - a host that no browser looks at pays nothing

        return StatusPage(
            world=lambda: shell.world,
            context=lambda: self._context(docker),
            journal=journal,
            checks=lambda name: shown(shell.outcomes(name), self._to_wall),
            now=lambda: as_iso(time.time()),
        )


def _beginning(kept: Kept) -> str:
    """How the records of this supervisor begin."""
    before = "the one before it did not end by itself" if kept.same_boot else "the one before it had ended"
    if not kept.same_host_boot:
        before = "the host was booted" if kept.units else "the first one here"
    return f"dockwarden {VERSION}, pid {os.getpid()}; {before}"


async def _run(shell: Shell) -> None:
    try:
        await shell.run()
    except* EngineTooOldError as group:
        raise BootError(Exit.ENGINE, str(group.exceptions[0])) from group


def _host_boot_id() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""
