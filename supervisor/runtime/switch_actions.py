"""Carries out a switch's orders: checks before it begins, records its steps, and saves the choice."""

import asyncio
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, assert_never

from structlog.typing import FilteringBoundLogger

from supervisor.engine.port import Engine, EngineError, UserEngine
from supervisor.runtime.loop import Inbox
from supervisor.state.choices import Choices, StateError
from units.commands import ArmSwitch, CheckSwitch, DropIntent, KeepChoice, KeepIntent, KeepServed
from units.spec import Switchable, UnitSpec
from units.switch_events import ChoiceKept, ChoiceLost, SwitchChecked, SwitchDue
from units.unit import Failure

if TYPE_CHECKING:
    from supervisor.runtime.gating import Gates

ROOM, SHARE = 500 * 2**20, 0.05
"""Free space that a new console needs: bytes, and fraction of the file system."""


class SwitchActions:
    """``room``: bytes that are free where System Docker keeps its containers, and all; ``gates``: the host's."""

    def __init__(
        self,
        engine: Engine,
        inbox: Inbox,
        choices: Choices,
        user_docker: UserEngine | None,
        log: FilteringBoundLogger,
        *,
        room: Callable[[], tuple[int, int]],
        gates: "Gates | None" = None,
        in_thread: Callable[..., Awaitable[str]] = asyncio.to_thread,
    ) -> None:
        self._engine = engine
        self._inbox = inbox
        self._choices = choices
        self._user_docker = user_docker
        self._log = log
        self._room = room
        self._in_thread = in_thread
        self._timer: asyncio.TimerHandle | None = None
        self._gates = gates

    def arm(self, order: ArmSwitch, cause: str) -> None:
        if self._timer is not None:
            self._timer.cancel()
        later = asyncio.get_running_loop().call_later
        self._timer = later(order.delay, lambda: self._inbox.put(SwitchDue(order.token), cause=cause))

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    async def keep_intent(self, order: KeepIntent, cause: str) -> None:
        """In the lane of the step's unit, so that it is on disk before the step's orders are sent."""
        intent = {"of": order.of.value, "origin": order.origin, "target": order.target, "step": order.step}
        await self._write(self._choices.intend(intent), order.token, cause)

    async def carry_out(self, order: CheckSwitch | KeepChoice | KeepServed | DropIntent, cause: str) -> None:
        match order:
            case CheckSwitch():
                refusals = await self.check(order) or await self._vetoes(order, cause)
                self._inbox.put(SwitchChecked(order.token, refusals), cause=cause)
            case KeepChoice():
                if await self._write(self._choices.choose(order.of, order.name), order.token, cause):
                    self._inbox.put(ChoiceKept(order.token), cause=cause)
            case KeepServed():
                try:
                    await self._choices.serve(order.context, order.engine)
                except StateError as error:
                    # The next boot falls back to what is on disk, or not at all.
                    self._log.warning("switch.served-unsaved", error=str(error), cause=cause)
            case DropIntent():
                try:
                    await self._choices.drop_intent()
                except StateError as error:
                    # The next supervisor will report an interrupted switch by mistake.
                    self._log.warning("switch.intent-kept", error=str(error), cause=cause)
            case _:
                assert_never(order)

    async def _write(self, write: Awaitable[None], token: int, cause: str) -> bool:
        try:
            await write
        except StateError as error:
            self._inbox.put(ChoiceLost(token, str(error)), cause=cause)
            return False
        return True

    async def check(self, order: CheckSwitch) -> tuple[str, ...]:
        """Why this would fail, in words; empty: it may begin."""
        try:
            match order.of:
                case Switchable.CONSOLE:
                    return await self._check_console(order)
                case Switchable.STORAGE:
                    return await self._check_storage(order)
                case Switchable.ENGINE:
                    return await self._check_engine(order)
        except (EngineError, OSError) as error:
            return (str(error),)

    async def _vetoes(self, order: CheckSwitch, cause: str) -> tuple[str, ...]:
        """Ask the host's gates, as the last check."""
        if self._gates is None or not self._gates.stand_before("before_switch", order.of.value):
            return ()
        from supervisor.runtime.gating import refusals  # noqa: PLC0415 - only where a gate stands

        return await refusals(self._gates, order, cause)

    async def _check_console(self, order: CheckSwitch) -> tuple[str, ...]:
        spec = order.spec
        if spec is None:
            return (f"the console {order.target} is not defined",)
        said = [trouble for trouble in (await self._lost(order), await self._provide(spec)) if trouble]
        if not said and order.engine is not None and self._user_docker is not None:
            parked = order.parked if order.keeps else None
            said += await self._user_docker.check_console(
                spec.body, parked, order.engine, f"the console {order.target}"
            )
        free, total = self._room()
        if free < min(ROOM, total * SHARE):
            said.append(f"only {free >> 20} MiB are free for containers, {ROOM >> 20} MiB are needed: free some space")
        if order.container is not None and not order.force and (busy := await self._people(order)):
            said.append(f"users are logged in to the console ({busy}): wait until they log out, or use --force")
        return tuple(said)

    async def _lost(self, order: CheckSwitch) -> str:
        """A fresh look: a persistent console is never made anew, and empty, because its container was removed."""
        lost = order.lost
        if order.keeps and order.parked is not None:
            try:
                await self._engine.look(order.parked)
            except EngineError as error:
                if error.failure is not Failure.NOT_FOUND:
                    raise
                lost = True
        if not lost:
            return ""
        return (
            f"the container of the console {order.target} was removed (docker rm, docker container prune), and with it"
            f" the files in it: `dockwarden console switch {order.target} --empty` makes a new, empty one"
        )

    async def _provide(self, spec: UnitSpec) -> str:
        """Ensure that the image exists, pulling it if allowed."""
        if await self._engine.has_image(spec.image):
            return ""
        if not spec.pull:
            return f"its image {spec.image} is missing, and pulling is disabled: load it"
        try:
            await self._engine.pull(spec.image)
        except EngineError as error:
            return f"its image {spec.image} is missing and cannot be pulled: {error}"
        return ""

    async def _people(self, order: CheckSwitch) -> str:
        """Users with a terminal in the console, in words, by ssh or by exec."""
        assert order.container is not None
        facts = await self._engine.context(order.container)
        return await self._in_thread(terminals, facts.pid) if facts.running else ""

    async def _check_storage(self, order: CheckSwitch) -> tuple[str, ...]:
        if self._user_docker is None:
            return ("there is no user Docker",)
        if order.container is None:
            return (f"{order.target} has no container: start it first (dockwarden start {order.target})",)
        return await self._user_docker.check(order.container, order.engine or "")

    async def _check_engine(self, order: CheckSwitch) -> tuple[str, ...]:
        if self._user_docker is None or order.container is None:
            return ("user Docker has no storage context",)
        return await self._user_docker.check_engine(order.container, order.target)


def terminals(pid: int) -> str:
    """Processes with a terminal among those of a container, by its main process; empty when there are none."""
    try:
        ours = Path(f"/proc/{pid}/cgroup").read_text()
    except OSError:
        return ""
    found: list[str] = []
    for other in filter(str.isdecimal, os.listdir("/proc")):  # noqa: PTH208
        try:
            told = Path(f"/proc/{other}/stat").read_text(errors="replace")
            name, fields = told.partition("(")[2].rpartition(")")[0], told.rpartition(")")[2].split()
            if int(fields[4]) and int(other) != pid and Path(f"/proc/{other}/cgroup").read_text() == ours:
                found.append(f"{name}, pid {other}")
        except (OSError, IndexError, ValueError):
            continue
    return "; ".join(found[:3]) + (f" and {len(found) - 3} more" if len(found) > 3 else "")
