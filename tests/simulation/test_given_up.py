"""Containers on a watched host that their engine's own restart policy gave up."""

import asyncio

from tests.simulation import virtual_loop
from tests.simulation.test_refused import Bench, foreign
from units.records import replace
from units.unit import Phase


def test_what_an_engine_gave_up_is_started() -> None:
    """Engines try once and tell nobody; what they leave is an error in the container's state."""

    async def main() -> None:
        bench = Bench(replace(foreign("web"), expected=True))
        await bench.up()
        await asyncio.sleep(20)
        bench.engine.crash("web", 137)
        container = bench.engine.named("web")
        assert container is not None
        container.error = "dial unix /run/containerd/containerd.sock: connect: connection refused"
        await asyncio.sleep(3)
        assert bench.unit("web").reason.endswith("left to its engine's restart policy")
        await asyncio.sleep(12)
        unit = bench.unit("web")
        assert (unit.phase, unit.restarts, bench.runs("web")) == (Phase.READY, 1, 2)
        assert unit.look is None or not unit.look.failed  # Else its next death would be told to be one more.
        await bench.close()

    virtual_loop.run(main())


def test_what_an_engine_is_about_to_start_again_is_left_to_it() -> None:
    """No error, no help: it may be waiting for its own delay, or be its operator's business."""

    async def main() -> None:
        bench = Bench(replace(foreign("web"), expected=True))
        await bench.up()
        await asyncio.sleep(20)
        bench.engine.crash("web", 137)
        await asyncio.sleep(60)
        assert (bench.unit("web").phase, bench.runs("web")) == (Phase.INACTIVE, 1)
        await bench.close()

    virtual_loop.run(main())
