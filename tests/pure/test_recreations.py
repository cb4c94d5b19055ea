"""A replacement that is cut off after any call is completed by the next supervisor, and nothing is lost."""

import asyncio
import contextlib
import json
import random
from collections.abc import Callable
from typing import Any

import pytest

from supervisor.engine.port import Engine, EngineError, StaleEndpointError
from supervisor.runtime.recreate import LATE, Recreations
from tests.simulation.engine_model import FakeEngine
from tests.simulation.running import SILENT, Memory, directly
from tests.simulation.virtual_loop import run
from units.commands import CreateContainer, PrepareContainer
from units.quantities import Seconds
from units.spec import ContainerId, Kind, UnitName, UnitSpec
from units.unit import Failure

WEB = UnitName("web")
BODY = json.dumps({"Image": "image", "Labels": {"dockwarden.unit": "web"}, "HostConfig": {}})
SPEC = UnitSpec(WEB, Kind.SERVICE, "image", BODY, "h2")
CHANGES = ("create", "rename", "stop", "start", "remove", "disconnect")
STEPS = 6


class CutOff:
    """An engine that is as real up to its n-th change; with that, done or not done, the supervisor is killed."""

    def __init__(self, engine: FakeEngine, calls: int, *, done: bool) -> None:
        self._engine = engine
        self._left = calls
        self._done = done

    def __getattr__(self, name: str) -> Any:
        real = getattr(self._engine, name)
        return self._counted(real) if name in CHANGES else real

    def _counted(self, real: Callable[..., Any]) -> Callable[..., Any]:
        async def call(*arguments: Any) -> Any:
            self._left -= 1
            if self._left < 0 and not self._done:
                raise asyncio.CancelledError
            answer = await real(*arguments)
            if self._left < 0:
                raise asyncio.CancelledError
            return answer

        return call


def recreations(engine: Any, store: Memory) -> Recreations:
    wanted: Engine = engine
    return Recreations(wanted, store, SILENT, directly)


async def nothing(_made: ContainerId) -> None:
    """Nobody waits for it."""


async def first(engine: FakeEngine, *, running: bool) -> tuple[ContainerId, str]:
    """The container that is replaced, and its volume."""
    container = await engine.create("web", BODY)
    if running:
        await engine.start(container)
    return container, engine.containers[container].own


@pytest.mark.parametrize("done", [True, False])
def test_a_foreign_container(done: bool) -> None:
    async def main(calls: int) -> None:
        foreign = UnitSpec(WEB, Kind.FOREIGN, "image", "", "")
        engine, store = FakeEngine(random.Random(calls), images={"image"}, foreign={"web": foreign}), Memory()
        old, volume = await first(engine, running=True)
        cut = recreations(CutOff(engine, calls, done=done), store)
        try:
            await cut.recreate(old, {}, Seconds(1), nothing)
        except asyncio.CancelledError:
            cut.close()
        after = recreations(engine, store)
        await after.finish()
        after.close()
        (left,) = engine.containers.values()
        assert (left.name, left.running, left.own) == ("web", True, volume)
        assert not (store.state or {}).get("recreations")

    for calls in range(STEPS + 1):
        run(main(calls))


@pytest.mark.parametrize("prepared", [True, False])
@pytest.mark.parametrize("done", [True, False])
def test_a_container_of_ours(done: bool, prepared: bool) -> None:
    """The core gives its order again: by then there is one to replace, with its name and its files."""

    async def main(calls: int) -> None:
        engine, store = FakeEngine(random.Random(calls), images={"image"}), Memory()
        old, volume = await first(engine, running=False)
        successor = None
        if prepared:
            successor = await recreations(engine, store).prepare(PrepareContainer(WEB, SPEC, old))
        cut = recreations(CutOff(engine, calls, done=done), store)
        try:
            await cut.create(CreateContainer(WEB, SPEC, old, prepared=successor), nothing)
        except asyncio.CancelledError:
            cut.close()
        after = recreations(engine, store)
        await after.finish()
        left = await engine.holder("web")
        assert left is not None
        assert engine.containers[left].own == volume
        if left == old:
            await after.create(CreateContainer(WEB, SPEC, old), nothing)
        after.close()
        (new,) = engine.containers.values()
        assert (new.ident == old, new.name, new.own) == (False, "web", volume)

    for calls in range(STEPS):
        run(main(calls))


@pytest.mark.parametrize("done", [True, False])
def test_an_endpoint_of_an_ended_run_is_freed(done: bool) -> None:
    """Cut off after any call, the container has its name again, and the next start goes well."""

    async def main(calls: int) -> None:
        engine, store = FakeEngine(random.Random(calls), images={"image"}), Memory()
        old, _ = await first(engine, running=False)
        engine.endpoints.add("web")
        cut = recreations(CutOff(engine, calls, done=done), store)
        with contextlib.suppress(asyncio.CancelledError):
            await cut.start(old)
        cut.close()
        after = recreations(engine, store)
        await after.finish()
        if not engine.containers[old].running:
            await after.start(old)
        after.close()
        assert [(one.name, one.running) for one in engine.containers.values()] == [("web", True)]
        assert not (store.state or {}).get("recreations")

    for calls in range(STEPS):
        run(main(calls))


def test_a_lost_run_is_ended_before_its_container_is_made_anew() -> None:
    """Chaos, seed 474: the engine could not start it again, for its last run lived on; then there were two."""

    async def main() -> None:
        engine = FakeEngine(random.Random(1), images={"image"})
        old, _ = await first(engine, running=False)
        engine.orphans[old] = "web"
        made: list[ContainerId] = []

        async def note(container: ContainerId) -> None:
            made.append(container)

        await recreations(engine, Memory()).create(CreateContainer(WEB, SPEC, old), note)
        await engine.start(made[0])
        assert not engine.orphans
        assert not engine.violations

    run(main())


def test_the_lost_run_of_a_foreign_container_is_ended_as_well() -> None:
    async def main() -> None:
        foreign = UnitSpec(WEB, Kind.FOREIGN, "image", "", "")
        engine = FakeEngine(random.Random(1), images={"image"}, foreign={"web": foreign})
        old, _ = await first(engine, running=False)
        engine.orphans[old] = "web"
        await recreations(engine, Memory()).recreate(old, {}, Seconds(1), nothing)
        assert not engine.orphans
        assert not engine.violations

    run(main())


@pytest.mark.parametrize("operation", ["rename", "disconnect"])
def test_what_keeps_an_endpoint_is_told_as_a_failed_start(operation: str) -> None:
    """Never as "not found", which would mean that the container is gone; and it has its name."""

    async def main() -> None:
        engine, store = FakeEngine(random.Random(1), images={"image"}), Memory()
        old, _ = await first(engine, running=False)
        engine.endpoints.add("web")
        real = getattr(engine, operation)
        failed: list[str] = []

        async def fails(*arguments: Any) -> Any:
            if not failed:
                failed.append(operation)
                raise EngineError(Failure.REFUSED, f"{operation}: 403 Forbidden")
            return await real(*arguments)

        setattr(engine, operation, fails)
        ours = recreations(engine, store)
        with pytest.raises(StaleEndpointError):
            await ours.start(old)
        ours.close()
        assert failed
        assert [one.name for one in engine.containers.values()] == ["web"]
        assert not (store.state or {}).get("recreations")

    run(main())


def test_an_endpoint_that_is_gone_by_itself_is_no_failure() -> None:
    async def main() -> None:
        engine = FakeEngine(random.Random(1), images={"image"})
        old, _ = await first(engine, running=False)
        stale = StaleEndpointError("endpoint with name web already exists in network host", "host", "web")
        await recreations(engine, Memory()).start_freed(old, stale)
        assert engine.containers[old].running

    run(main())


def test_an_endpoint_that_somebody_else_has_taken_stays() -> None:
    async def main() -> None:
        engine = FakeEngine(random.Random(1), images={"image"})
        old, _ = await first(engine, running=False)
        stale = StaleEndpointError("endpoint with name vpn already exists in network host", "host", "vpn")
        engine.person_run("vpn")
        with pytest.raises(StaleEndpointError):
            await recreations(engine, Memory()).start_freed(old, stale)
        assert not [call for call in engine.calls if call[1] in CHANGES[1:]]

    run(main())


def test_a_name_that_is_anothers_is_refused_before_anything_is_touched() -> None:
    async def main() -> None:
        engine = FakeEngine(random.Random(1), images={"image"})
        old, _ = await first(engine, running=False)
        await engine.rename(old, "was")
        engine.person_run("web")
        with pytest.raises(EngineError) as refused:
            await recreations(engine, Memory()).create(CreateContainer(WEB, SPEC, old), nothing)
        assert refused.value.failure is Failure.NAME_TAKEN
        assert sorted(one.name for one in engine.containers.values()) == ["was", "web"]

    run(main())


def test_a_successor_that_is_gone_is_told() -> None:
    """The next try makes another one, after everybody was asked again."""

    async def main() -> None:
        engine = FakeEngine(random.Random(1), images={"image"})
        old, _ = await first(engine, running=False)
        made = await recreations(engine, Memory()).prepare(PrepareContainer(WEB, SPEC, old))
        await engine.remove(made)
        with pytest.raises(EngineError, match="is gone"):
            await recreations(engine, Memory()).create(CreateContainer(WEB, SPEC, old, prepared=made), nothing)
        assert [one.name for one in engine.containers.values()] == ["web"]

    run(main())


@pytest.mark.parametrize("refused", [True, False])
def test_a_successor_takes_the_place_of_one_that_a_person_removed(refused: bool) -> None:
    """Chaos, seed 450: a second one was made, and the first stayed for ever. It has the volumes of the removed one."""

    async def main() -> None:
        engine = FakeEngine(random.Random(1), images={"image"})
        old, volume = await first(engine, running=False)
        ours = recreations(engine, Memory())
        made = await ours.prepare(PrepareContainer(WEB, SPEC, old))
        await engine.remove(old)
        order = CreateContainer(WEB, SPEC, None, prepared=made)
        if refused:
            engine.lies.refuses = frozenset({"rename"})
            with pytest.raises(EngineError):
                await ours.create(order, nothing)
            engine.lies.refuses = frozenset()
            await ours.create(CreateContainer(WEB, SPEC, None), nothing)
            await asyncio.sleep(LATE)
        else:
            await ours.create(order, nothing)
        ours.close()
        (left,) = engine.containers.values()
        assert left.name == "web"
        assert refused or (left.ident, left.own) == (made, volume)

    run(main())


def test_one_that_removes_itself_may_be_in_the_middle_of_that() -> None:
    """20.10 cannot rename it any more, and says that a file is missing."""

    async def main() -> None:
        engine = FakeEngine(random.Random(1), images={"image"})
        old, _ = await first(engine, running=False)
        real = engine.rename

        async def rename(container: ContainerId, name: str) -> None:
            if container == old:
                asyncio.get_running_loop().call_later(0.2, engine.person_remove, "web")
                raise EngineError(Failure.OTHER, "rename: open .tmp-config.v2.json: no such file or directory")
            await real(container, name)

        engine.rename = rename  # type: ignore[method-assign]
        await recreations(engine, Memory()).create(CreateContainer(WEB, SPEC, old), nothing)
        (left,) = engine.containers.values()
        assert (left.name, left.ident == old) == ("web", False)

    run(main())


def test_an_old_container_that_would_not_go_is_removed_by_the_next_supervisor() -> None:
    """The new one has its place and runs: nothing but the old one's removal is left, and noted."""

    async def main() -> None:
        foreign = UnitSpec(WEB, Kind.FOREIGN, "image", "", "")
        engine, store = FakeEngine(random.Random(1), images={"image"}, foreign={"web": foreign}), Memory()
        old, _ = await first(engine, running=True)
        engine.lies.refuses = frozenset({"remove"})
        before = recreations(engine, store)
        new = await before.recreate(old, {}, Seconds(1), nothing)
        before.close()
        assert old in engine.containers
        engine.lies.refuses = frozenset()
        await recreations(engine, store).finish()
        assert set(engine.containers) == {new}
        assert engine.containers[new].running
        assert (store.state or {}).get("recreations") == {}

    run(main())
