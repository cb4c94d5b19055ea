"""The simulated host decides as the real one does, and calls hooks as the real one would."""

import pytest

from hooks import Contribution, Veto, gate, on
from hooks.happenings import Happened, UnitMoved
from hooks.points import Starting, Stopping
from hooks.testing import SimulatedHost, ask, service


def names(host: SimulatedHost) -> list[str]:
    return [
        f"{getattr(event, 'unit', 'host')}: {event.name}" for event in host.events if event.name != "unit.transition"
    ]


def test_a_boot() -> None:
    host = SimulatedHost("web").boot()
    assert names(host) == ["host: engine.back", "system-docker: unit.ready", "web: unit.started", "web: unit.ready"]


def test_a_crash_is_a_death_and_a_restart() -> None:
    host = SimulatedHost("web", "db").boot()
    host.events.clear()
    host.crash("web", 3)
    assert names(host) == ["web: unit.died", "web: unit.started", "web: unit.ready", "web: unit.restarted"]
    assert host.unit("web").restarts == 1


def test_a_crash_loop_takes_as_many_as_on_a_real_host() -> None:
    host = SimulatedHost("web").boot().crash_until("web")
    assert names(host).count("web: unit.restarted") == 5
    assert names(host)[-1] == "web: unit.failed"
    host.wait(300)
    assert host.unit("web").phase == "ready"


def test_a_stop_a_start_and_a_restart() -> None:
    host = SimulatedHost("web").boot().stop("web")
    assert host.unit("web").phase == "inactive"
    assert names(host)[-1] == "web: unit.stopped"
    host.start("web").restart("web")
    assert (host.unit("web").phase, host.unit("web").restarts) == ("ready", 1)


def test_an_unhealthy_unit_is_helped() -> None:
    host = SimulatedHost("web").boot().report("web", "unhealthy")
    assert "web: unit.unhealthy" in names(host)
    assert host.unit("web").restarts == 1


def test_an_outage_and_a_shutdown() -> None:
    host = SimulatedHost("web").boot().lose_engine().bring_back_engine().shut_down()
    assert host.world.drained
    assert names(host)[-5:] == [
        "host: engine.lost",
        "host: engine.back",
        "system-docker: unit.ready",
        "host: shutdown.asked",
        "web: unit.stopped",
    ]


def test_impossible_stories_are_refused() -> None:
    with pytest.raises(ValueError, match="nothing of web runs"):
        SimulatedHost("web").crash("web")
    with pytest.raises(ValueError, match="does not come to failed"):
        SimulatedHost("web").boot().crash_until("web", "failed")
    with pytest.raises(ValueError, match="has no @on"):
        SimulatedHost("web").tell(print)


def test_a_oneshot_policy_ends_in_failure() -> None:
    host = SimulatedHost(service("job", "no")).boot().crash("job")
    assert host.unit("job").phase == "failed"


def test_hooks_are_called_for_what_they_ask_for_once() -> None:
    @on("unit.restarted", unit="con*")
    def tell(event: UnitMoved) -> str:
        print("seen")
        return event.unit

    @on("engine.*")
    async def breaks(event: Happened) -> None:
        raise SystemExit(event.name)

    host = SimulatedHost("console", "web").boot().crash("console").crash("web")
    calls = host.tell(tell, breaks)
    assert [(call.hook, call.returned, str(call.error or ""), call.printed) for call in calls] == [
        ("breaks", None, "engine.back", ""),
        ("tell", "console", "", "seen\n"),
    ]
    assert host.tell(tell, breaks) == []


def test_gates_are_asked() -> None:
    @gate("before_start")
    async def start(asked: Starting) -> Veto | None:
        return Veto("too often") if asked.restarts > 3 else None

    @gate("before_stop")
    def wrong(_asked: Stopping) -> bool:
        return True

    @gate("before_start")
    def more(asked: Starting) -> Contribution:
        return Contribution({"NAME": asked.unit})

    assert ask(start) is None
    assert ask(start, restarts=4) == Veto("too often")
    assert ask(more, "db") == Contribution({"NAME": "db"})
    with pytest.raises(ValueError, match="not bool"):
        ask(wrong)
