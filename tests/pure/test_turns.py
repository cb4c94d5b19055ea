"""A command that never ends keeps nobody else from being asked, and a container with many checks not one with few."""

import asyncio
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any

from supervisor.engine.port import ContainerAddress, ExecId
from supervisor.runtime.probes import Probes
from supervisor.runtime.turns import LENT, Turns
from tests.simulation import virtual_loop
from units.health import Check, CheckKind, Exec
from units.quantities import Seconds
from units.spec import ContainerId

A, B, C = (ContainerId(one) for one in "abc")
DAYS = 300 * 86400.0


def run(main: Coroutine[Any, Any, None]) -> None:
    virtual_loop.run(main)


class Endless:
    """Runs commands: ``sleep`` does not end, any other one at once."""

    def __init__(self) -> None:
        self.begun: list[tuple[float, str, tuple[str, ...]]] = []

    async def exec_create(self, container: ContainerId, command: tuple[str, ...]) -> ExecId:
        self.begun.append((asyncio.get_running_loop().time(), container, command))
        return ExecId(command[0])

    async def exec_run(self, exec_id: ExecId, limit: int) -> str:
        if exec_id == "sleep":
            await asyncio.sleep(10 * DAYS)
        return "fine"[:limit]

    async def exec_exit(self, exec_id: ExecId) -> int | None:
        return None if exec_id == "sleep" else 0


def check(name: str, command: str, timeout: float = 10.0) -> Check:
    probe = Exec((command,))
    return Check(name, probe, CheckKind.LIVENESS, Seconds(1), timeout=Seconds(timeout), start_period=Seconds(0))


def test_a_command_that_takes_days_keeps_nobody_from_being_asked() -> None:
    async def main() -> None:
        engine = Endless()
        probes = Probes(engine)
        where = ContainerAddress(1, "", host_network=False)
        endless = [asyncio.ensure_future(probes.ask(check(f"{n}", "sleep", DAYS), A, where)) for n in range(6)]
        await asyncio.sleep(0.1)
        began = asyncio.get_running_loop().time()
        told = await probes.ask(check("live", "true"), B, where)
        assert told.kind == "passed"
        assert asyncio.get_running_loop().time() - began <= LENT
        await asyncio.sleep(4 * LENT)
        assert len([one for one in engine.begun if one[1] == A]) == 6
        assert not any(one.done() for one in endless)
        for one in endless:
            one.cancel()

    run(main())


def test_a_check_that_gets_no_turn_says_so() -> None:
    """As an answer that says nothing about the container."""

    async def main() -> None:
        probes = Probes(Endless())
        where = ContainerAddress(1, "", host_network=False)
        crowd = [
            asyncio.ensure_future(probes.ask(check(f"{n}", "sleep", DAYS), ContainerId(f"{n}"), where))
            for n in range(99)
        ]
        await asyncio.sleep(0.1)
        told = await probes.ask(check("live", "true"), B, where)
        assert (told.kind, told.output) == ("error", "not run: too many checks run commands at the same time")
        for one in crowd:
            one.cancel()

    run(main())


def test_containers_take_turns() -> None:
    """Whoever asks most waits like everybody."""

    async def main() -> None:
        turns, order = Turns(1), []

        async def one(container: ContainerId) -> None:
            turn = await turns.take(container)
            order.append(container)
            await asyncio.sleep(0.1)
            turn.give_back()
            turn.give_back()

        await asyncio.gather(*(one(container) for container in [A] * 5 + [B] * 2 + [C]))
        assert "".join(order) == "aabcabaa"

    run(main())


def test_who_gives_up_takes_no_turn() -> None:
    async def main() -> None:
        turns = Turns(1)
        first = await turns.take(A)
        waiting = [asyncio.ensure_future(turns.take(B)) for _ in range(3)]
        await asyncio.sleep(0)
        waiting[0].cancel()
        first.give_back()
        waiting[1].cancel()  # It has just been given its turn.
        with suppress(asyncio.CancelledError):
            await waiting[1]
        (await waiting[2]).give_back()
        async with asyncio.timeout(1):
            await turns.take(C)

    run(main())
