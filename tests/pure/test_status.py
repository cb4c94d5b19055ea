"""The status is plain JSON and says of each unit what a person asks first."""

import json
from dataclasses import replace

from supervisor.logs.timestamps import as_iso
from supervisor.views.status import NEXT, NEXT_OF_ENGINE, Context, status, unit_row, what_next
from units.links import check
from units.quantities import Instant
from units.spec import ContainerId, Kind, UnitName, UnitSpec
from units.tables.by_kind import rules_of
from units.unit import UNIT_PHASES, Phase, StoppedBy, Unit
from units.world import World, fresh_unit, new_world

SPEC = UnitSpec(UnitName("console"), Kind.SERVICE, "os-console:1", "{}", "abc")


def to_wall(instant: Instant) -> float:
    return 1_700_000_000 + instant


CONTEXT = Context("attached", "unix:///run/docker.sock", to_wall, started=1_700_000_000, version="1.2.3", pid=7)


def world(*units: Unit) -> World:
    return new_world(units, check(unit.spec for unit in units).links)


def test_the_status_is_exactly_this() -> None:
    """Engine, units by name, supervisor: the keys that programs read."""
    unit = replace(
        fresh_unit(SPEC, Instant(1.5), "b-1"), phase=Phase.READY, container=ContainerId("c" * 64), restarts=2
    )
    first = fresh_unit(replace(SPEC, name=UnitName("acpid")), Instant(2), "b-1")
    up = replace(world(unit, first), engine_up=True, engine_version="26.1", engine_reason="serving")
    told = status(up, CONTEXT)
    assert json.loads(json.dumps(told)) == told
    assert told["engine"] == {
        "url": "unix:///run/docker.sock",
        "mode": "attached",
        "up": True,
        "version": "26.1",
        "reason": "serving",
        "daemon": None,
        "daemon_pid": None,
        "unit": {
            "name": "system-docker",
            "kind": "system-docker",
            "state": "connecting",
            "health": "none",
            "checks": {},
            "flapping": False,
            "container_id": None,
            "restarts": 0,
            "since": None,
            "reason": "has not answered yet",
            "unknown_since": None,
            "cause": "",
            "wanted": True,
            "touched": True,
            "exit_code": None,
            "image": "",
        },
    }
    assert told["supervisor"] == {
        "version": "1.2.3",
        "pid": 7,
        "started": "2023-11-14T22:13:20.000Z",
        "draining": False,
        "configuration": "in-force",
        "troubles": [],
    }
    assert [row["name"] for row in told["units"]] == ["acpid", "console"]
    assert told["units"][1] == {
        "name": "console",
        "kind": "service",
        "state": "ready",
        "health": "none",
        "checks": {},
        "flapping": False,
        "container_id": "c" * 64,
        "restarts": 2,
        "since": "2023-11-14T22:13:21.500Z",
        "reason": "waiting for the engine",
        "unknown_since": None,
        "cause": "b-1",
        "wanted": True,
        "touched": True,
        "exit_code": None,
        "image": "os-console:1",
    }


def test_a_unit_that_never_moved_has_no_since() -> None:
    """The beginning of time is no time."""
    assert unit_row(Unit(SPEC), to_wall)["since"] is None


def test_what_is_said_of_units_while_the_engine_is_away_is_what_was_known() -> None:
    """With its age; a container that cannot be read has none."""
    row = unit_row(Unit(SPEC, reason="answers"), to_wall, Instant(1.5))
    assert row["unknown_since"] == as_iso(to_wall(Instant(1.5)))
    assert row["reason"] == f"unknown since {row['unknown_since']}, the engine does not answer; last known: answers"
    assert unit_row(Unit(SPEC, reason="answers", unread="stuck"), to_wall)["unknown_since"] is None


def test_times_are_utc_with_milliseconds() -> None:
    """ISO 8601, always of the same length."""
    assert as_iso(0) == "1970-01-01T00:00:00.000Z"
    assert as_iso(1.9996) == "1970-01-01T00:00:01.999Z"


def test_every_phase_says_what_would_change_it() -> None:
    """A sentence for each phase, also for a unit whose name looks like a template."""
    assert set(NEXT) == set(UNIT_PHASES)
    assert set(NEXT_OF_ENGINE) == set(rules_of(Kind.SYSTEM_DOCKER).phases)
    odd = replace(SPEC, name=UnitName("{name}{0}"))
    for phase in UNIT_PHASES:
        unit = replace(Unit(odd), phase=phase)
        assert len(what_next(unit, replace(world(unit), engine_up=True))) > 10


def test_what_next_names_the_greater_obstacle_first() -> None:
    """A host that goes down, then an engine that does not answer, then the unit's own phase."""
    unit = replace(Unit(SPEC), phase=Phase.CRASH_LOOP)
    up = replace(world(unit), engine_up=True)
    assert "goes down" in what_next(unit, replace(up, draining=True))
    assert "engine" in what_next(unit, world(unit))
    assert "every 5 min" in what_next(unit, up)
    assert "`dockwarden reset-failed console`" in what_next(unit, up)
    gone = replace(unit, phase=Phase.INACTIVE, stopped_by=StoppedBy.CONFIG)
    assert "configuration" in what_next(gone, up)
