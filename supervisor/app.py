"""One host, wired: the only place that names the parts of a supervisor. What its two modes differ in is a ``Mode``."""

import asyncio
import contextlib
import os
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from structlog.typing import FilteringBoundLogger

from hooks.presence import HostHooks
from metrics import Metrics
from supervisor.engine.access import Barriers
from supervisor.engine.port import Engine, EngineError, EngineView, UserDockerReport
from supervisor.engine.read_only import ReadOnlyEngine
from supervisor.http.access import ControlError
from supervisor.http.control.server import ControlServer
from supervisor.http.pages.endpoints import serve_pages
from supervisor.http.server import PagesError
from supervisor.journal.boot_chart import BootChart
from supervisor.journal.journal import Journal
from supervisor.journal.record_file import RecordFile
from supervisor.journal.record_file import load as load_records
from supervisor.logs.pipeline import LAST_WORDS, Pipeline
from supervisor.logs.timestamps import as_iso
from supervisor.mode import Mode, Options, Outside
from supervisor.preflight import BootError, Exit
from supervisor.runtime.engine_watch import only_too_old
from supervisor.runtime.health_scheduler import shown
from supervisor.runtime.heartbeat import Heartbeat, LogTender
from supervisor.runtime.loop import Inbox, Observer
from supervisor.runtime.recreate import Recreations
from supervisor.runtime.sd_notify import Systemd
from supervisor.runtime.shell import Shell
from supervisor.runtime.switch_actions import SwitchActions
from supervisor.state import paths
from supervisor.state.choices import Choices
from supervisor.state.writer import BootId, SavedState, StateWriter, read
from supervisor.version import VERSION
from supervisor.views.status import Context, status
from units.events import Event
from units.memory import Clocks
from units.quantities import Instant
from units.records import replace
from units.spec import Switchable
from units.troubles import Concern, TroubleTold
from units.world import World, is_ours

if TYPE_CHECKING:
    from hooks.notifier import Notifier
    from supervisor.http.control.routes import Api
    from supervisor.http.pages.status_page import StatusPage
    from supervisor.runtime.gating import Gates

STEADY = 0.01
"""Seconds. A wall clock that is off by less was not set: two clocks are never read in the same moment."""


class Host:
    """One supervisor, wired. To be made on a running loop; ``run`` ends when a shutdown is through.

    Args:
        lines: The log's pipeline, which is kept going and learns the secrets of the configuration.

    Raises:
        BootError: the engine's URL, or user Docker's definition, cannot be used.
    """

    def __init__(
        self, options: Options, mode: Mode, outside: Outside, log: FilteringBoundLogger, lines: Pipeline
    ) -> None:
        loop = asyncio.get_running_loop()
        settings = mode.settings
        self._options, self._mode, self._outside, self._log = options, mode, outside, log
        self._lines = lines
        lines.secrets.learn(settings.secrets)
        self._started = outside.wall()
        self._wall_offset = self._started - loop.time()
        self.metrics = Metrics(
            wall=outside.wall,
            now=loop.time,
            version=VERSION,
            most_units=options.metrics_units,
            snapshot_period=settings.supervisor.snapshot_period,
            world=lambda: self.world,
            to_wall=self._to_wall,
            depth=lambda: self.inbox.depth,
            user_docker=lambda: self._user_docker_report().version,
        )
        self.inbox = Inbox(loop.time, f"{int(outside.chance() * 16**4):04x}")
        try:
            barriers = Barriers(
                lambda said: self.inbox.put(TroubleTold(Concern.ACCESS, said)), self.metrics.engine_call
            )
            engine = mode.make_engine(barriers.called)
            self._engine: EngineView = engine
            hands: Engine | None = None if isinstance(engine, ReadOnlyEngine) else engine
            self._system_docker = mode.make_system_docker and mode.make_system_docker(self.inbox)
            make_user_docker = mode.make_user_docker
            self._user_docker = make_user_docker(hands, self.inbox) if hands and make_user_docker else None
        except EngineError as error:
            raise BootError(Exit.ENGINE, str(error)) from error
        under_way = outside.make_store(options.state_dir / paths.RECREATIONS_FILE, log)
        self._hands = hands
        self._recreations = None if hands is None else Recreations(hands, under_way, log, outside.in_thread)
        store = outside.make_store(options.state_dir / paths.STATE_FILE, log)
        kept = read(store, BootId(outside.boot_id()))
        self.choices = self._choose()
        self.metrics.restore(kept.counters)
        records = options.state_dir / paths.RECORDS_FILE
        self.journal = Journal(
            log,
            self._to_wall,
            self._asker,
            kept=load_records(records, log),
            debug=options.log_level == "debug",
        )
        lines.know(self.journal.about)
        self.journal.begin(_beginning(kept), self._started)
        self._records_file = RecordFile(records, self.journal, log, in_thread=outside.in_thread)
        world = mode.first_world(kept, self._clocks(), self.choices)
        self._boot_chart = BootChart(self._to_wall, Instant(loop.time()), world.units.values())
        self.hooks = HostHooks(
            options.hooks,
            self.metrics.hook_ran,
            log,
            outside.wall,
            options.state_dir / paths.HOOKS_OFF,
            entry_points=outside.installed_hooks,
        )
        gates = mode.gates(self.hooks)
        self.control = self._make_control(options.run_dir)
        self._systemd = Systemd(outside.environ, loop.time, os.getpid())
        # After a reboot every trouble is a new one: whoever rebooted wants to know.
        self._notifier = self._make_notifier(kept.told if kept.same_host_boot else {})
        unmet = settings.unmet(*(self.choices.chosen(of) for of in (Switchable.CONSOLE, Switchable.STORAGE)))
        for of, reason in {**mode.troubles, Concern.CHOICE: unmet, Concern.NOTICES: options.unheard}.items():
            if reason:
                self.inbox.put(TroubleTold(of, reason))
        self._switches = self._make_switches(hands, gates)
        self._shell = Shell(
            world,
            engine,
            hands,
            self.inbox,
            log,
            gauges=self.metrics,
            keeper=StateWriter(
                store,
                BootId(outside.boot_id()),
                self._clocks,
                log,
                counters=self.metrics.counted,
                told=lambda: self._notifier[0].told if self._notifier else kept.told,
                failed=self.metrics.state_failed,
                tell=lambda reason: self.inbox.put(TroubleTold(Concern.STATE, reason)),
                troubled=Concern.STATE in mode.troubles,
                engine_ns=kept.engine_ns,
                in_thread=outside.in_thread,
            ),
            observers=self._observers(),
            chance=outside.chance,
            wall=outside.wall,
            known_ns=kept.engine_ns if kept.same_boot and not world.watching else 0,
            timing=settings.supervisor.timing,
            read_config=self._read_config,
            prepare=self._prepare,
            system_docker=self._system_docker,
            user_docker=self._user_docker,
            switches=self._switches,
            recreations=self._recreations,
            gates=gates,
        )

    @property
    def world(self) -> World:
        return self._shell.world

    async def _prepare(self) -> None:
        """At each connection: what was cut off is finished before anybody looks."""
        if self._recreations is not None:
            await self._recreations.finish()
        await self._mode.prepare(self._hands)

    def _observers(self) -> tuple[Observer, ...]:
        """In the order in which they see a reaction: when a client gets its answer, all the others have seen it."""
        seen: tuple[Observer, ...] = (self.journal, self._records_file, self._boot_chart, self.metrics)
        seen += (*self._notifier, self.hooks, self._systemd, *self._mode.observers())
        return seen if self.control is None else (*seen, self.control)

    async def run(self) -> int:
        """Until a shutdown is through; an exit code. Cancelled, it leaves every unit as it is. Raises BootError."""
        self._log.info(
            "boot.started",
            units=len(self.world.units),
            engine=self._mode.url,
            mode=self._mode.name,
            run_dir=str(self._options.run_dir),
        )
        tender = LogTender(self._lines, self._log)

        def tend() -> None:
            tender.tend()
            self._systemd.beat(self.world)

        beat = Heartbeat(self.metrics.observe_loop_lag, tend)
        try:
            return await self._serve()
        finally:
            beat.stop()
            for one in self._notifier:
                one.close()
            await self.hooks.close()
            await self._records_file.close()
            await self._engine.close()

    async def _serve(self) -> int:
        try:
            async with contextlib.AsyncExitStack() as doors:
                await self._open(doors)
                await self._turn()
        except (PagesError, ControlError) as error:
            raise BootError(Exit.FAILED, str(error)) from error
        except BootError:
            if self._system_docker is not None:
                await self._system_docker.stop()  # Started by us, and of no use to us.
            raise
        stuck, orphans = self.world.unkillable, self.world.orphans
        left = self._shell.gave_up or bool(stuck or (orphans and not is_ours(self.world.engine)))
        left = left or bool(self._user_docker is not None and self._user_docker.report.left)
        self._log.info("shutdown.done", left_running=left, unkillable=list(stuck), orphans=list(orphans))
        return Exit.FAILED if self._shell.gave_up else Exit.OK

    async def _open(self, doors: contextlib.AsyncExitStack) -> None:
        """Let people in. Raises PagesError, ControlError."""
        if self.control is not None:
            await self.control.start()
            doors.push_async_callback(self.control.close)
        if self._options.listen:
            pages = await serve_pages(self._options.listen, self.metrics, lambda: self.world, self._page)
            doors.push_async_callback(pages.close)

    async def _turn(self) -> None:
        try:
            await self._shell.run()
        except BaseExceptionGroup as group:
            old = only_too_old(group)
            raise group if old is None else BootError(Exit.ENGINE, str(old)) from None

    def handle_signals(self) -> None:
        """SIGTERM and SIGINT shut down, a second one hurries, a third one ends us; SIGHUP reads the configuration."""
        loop = asyncio.get_running_loop()
        for sign in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(sign, self.shut_down, sign.name)
        rereads: set[asyncio.Task[None]] = set()

        def reload() -> None:
            self._lines.reopen()
            self.hooks.reload()
            task = asyncio.create_task(self.reload(), name="reload")
            rereads.add(task)
            task.add_done_callback(rereads.discard)

        loop.add_signal_handler(signal.SIGHUP, reload)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGHUP})

    def shut_down(self, reason: str) -> None:
        """The first call asks, the second one hurries, the third one ends the process."""
        if self._shell.shut_down(reason) >= 3:
            self._log.error("shutdown.forced", reason="asked three times")
            self._lines.flush(LAST_WORDS)
            os._exit(Exit.FAILED)

    async def reload(self) -> None:
        """Read the configuration again."""
        self.inbox.put(await self._read_config())

    async def _read_config(self) -> Event:
        return await self._mode.read_config(self.choices)

    def _choose(self) -> Choices:
        """What the configuration and people's choices at run time come to."""
        store = self._outside.make_store(self._options.state_dir / paths.CHOICES_FILE, self._log)
        choices = Choices(store, self._mode.settings.configured, in_thread=self._outside.in_thread)
        if (cut := choices.interrupted) is not None:
            self._log.warning("switch.interrupted", **cut, reason="the supervisor ended in the middle of it")
        return choices

    def _make_control(self, run_dir: Path | None) -> ControlServer | None:
        if run_dir is None:
            return None
        return ControlServer(
            run_dir=run_dir, journal=self.journal, make_api=self._api, log=self._log, access=self._options.access
        )

    def _api(self) -> "Api":
        from supervisor.http.control.routes import Api  # noqa: PLC0415 - most supervisors are asked once a month

        return Api(
            inbox=self.inbox,
            world=lambda: self.world,
            status=lambda: status(self.world, self._context()),
            journal=self.journal,
            engine=self._engine,
            choices=self.choices,
            user_docker=self._user_docker,
            fits=self._switches.check if self._switches else None,
            checks=self._checks,
            hooks=self.hooks,
            boot=self._boot_chart.told,
        )

    def _make_switches(self, hands: Engine | None, gates: "Gates | None") -> SwitchActions | None:
        if hands is None:
            return None
        return SwitchActions(
            hands,
            self.inbox,
            self.choices,
            self._user_docker,
            self._log,
            room=self._mode.room,
            gates=gates,
            in_thread=self._outside.in_thread,
        )

    def _page(self) -> "StatusPage":
        from supervisor.http.pages.status_page import StatusPage  # noqa: PLC0415 - seldom looked at

        return StatusPage(
            world=lambda: self.world,
            context=self._context,
            journal=self.journal,
            checks=self._checks,
            now=lambda: as_iso(self._outside.wall()),
        )

    def _make_notifier(self, kept: Mapping[str, str]) -> "tuple[Notifier, ...]":
        """None where there is no receiver."""
        if not self._options.receivers:
            return ()
        from hooks.notices import recalled  # noqa: PLC0415 - as the docstring says
        from hooks.notifier import Notifier  # noqa: PLC0415

        return (
            Notifier(
                self._options.receivers,
                self.metrics.notified,
                self._log,
                lambda notice: replace(notice, at=self._outside.wall(), host=self._outside.host_name),
                recalled(kept),
            ),
        )

    def _asker(self, number: int) -> int | None:
        return None if self.control is None else self.control.asker(number)

    def _checks(self, name: Any) -> list[dict[str, Any]]:
        return shown(self._shell.outcomes(name), self._to_wall)

    def _user_docker_report(self) -> UserDockerReport:
        return UserDockerReport() if self._user_docker is None else self._user_docker.report

    def _context(self) -> Context:
        return Context(
            mode=self._mode.name,
            url=self._mode.url,
            to_wall=self._to_wall,
            started=self._started,
            enabled={of: self.choices.chosen(of) for of in Switchable},
            user_docker=self._user_docker_report(),
        )

    def _clocks(self) -> Clocks:
        return Clocks(Instant(asyncio.get_running_loop().time()), self._outside.wall())

    def _to_wall(self, instant: Instant) -> float:
        """The same time for the same instant, until the wall clock is set."""
        clocks = self._clocks()
        offset = clocks.wall - clocks.now
        if abs(offset - self._wall_offset) > STEADY:
            self._wall_offset = offset
        return instant + self._wall_offset


def _beginning(kept: SavedState) -> str:
    """How the records of this supervisor begin."""
    before = "the one before it did not end by itself" if kept.same_boot else "the one before it had ended"
    if not kept.same_host_boot:
        before = "the host was booted" if kept.units else "the first one here"
    return f"dockwarden {VERSION}, pid {os.getpid()}; {before}"
