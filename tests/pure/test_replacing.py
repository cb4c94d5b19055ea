"""What needs a new container gets it before the present one stops; and volumes go on."""

import ast
from pathlib import Path
from typing import Any

from hooks.notices import UNTOLD, notices
from supervisor.views.status import unit_row
from tests.pure.story import Story, needs, seen, spec
from units import events as fact
from units.commands import CreateContainer
from units.links import check
from units.memory import Clocks, recall, remember
from units.quantities import Instant
from units.records import replace
from units.spec import Kind, Rebuild, UnitName, UnitSpec, Via
from units.unit import Failure, Look, Phase, Reason

ROOT = Path(__file__).parents[2]
WEB = UnitName("web")


def test_containers_are_made_at_one_place() -> None:
    """A second caller of the engine's create would make promises of its own."""
    callers = [
        str(path.relative_to(ROOT))
        for tree in ("units", "hooks", "metrics", "supervisor")
        for path in (ROOT / tree).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == "create"
        and "engine" in ast.unparse(node.func.value)
    ]
    assert set(callers) == {"supervisor/runtime/recreate.py"}
    texts = [path for path in (ROOT / "supervisor").rglob("*.py") if "containers/create" in path.read_text()]
    assert {path.name for path in texts} == {"docker.py", "access.py"}  # The call, and the table of all calls.


def up(*more: UnitSpec, **changes: Any) -> Story:
    story = Story.of(replace(spec("web"), **changes), *more)
    story.connect()
    return story.up("web", *(one.name for one in more))


def change(story: Story, config_hash: str = "h2") -> str:
    new = replace(story.unit("web").spec, config_hash=config_hash)
    others = [unit.spec for name, unit in story.world.units.items() if name != WEB]
    return story.feed(fact.ConfigRead((new, *others)))


def test_a_changed_unit_runs_until_its_successor_is_there() -> None:
    story = up()
    assert change(story) == "prepare web beside web-1"
    assert story.unit("web").phase is Phase.READY
    assert "making its new container while this one runs" in story.unit("web").reason
    assert story.look(seen("web")) == ""  # It is being made.
    assert story.prepared("web", "h2").startswith("web: ready -> stopping")
    assert "create web replacing web-1 by web-next" in story.died("web", 0)


def test_one_whose_new_image_is_missing_runs_on() -> None:
    """It is pulled meanwhile, once; people are told once, and it is tried again ever later."""
    story = up()
    change(story)
    assert story.unprepared("web") == "PullImage(unit='web', image='image')"
    assert story.unit("web").phase is Phase.READY
    event = fact.PullFailed(WEB, Failure.IMAGE_MISSING, "pull of image: manifest unknown")
    assert story.feed(event) == "arm web look 5"
    assert story.unit("web").phase is Phase.READY
    assert "still runs in its present container: pull of image: manifest unknown" in story.unit("web").reason
    assert story.last is not None
    (notice,), troubled = notices(event, story.last, UNTOLD)
    assert "manifest unknown" in notice.reason
    assert notices(event, story.last, troubled)[0] == ()
    assert story.later(1).look(seen("web")) == ""
    assert story.later(30).look(seen("web")) == "prepare web beside web-1"
    story.unprepared("web")
    assert story.feed(fact.ImagePulled(WEB)) == "prepare web beside web-1"
    assert story.prepared("web", "h2").startswith("web: ready -> stopping")
    assert story.unit("web").kept == ""


def test_one_whose_start_is_vetoed_runs_on() -> None:
    story = up()
    change(story)
    assert story.unprepared("web", Failure.VETOED, "vetoed by backup") == "arm web look 5"
    assert (story.unit("web").phase, "vetoed by backup" in story.unit("web").reason) == (Phase.READY, True)


def test_a_restart_into_a_new_container_waits_for_it_too() -> None:
    story = up()
    change(story)
    story.unprepared("web", Failure.OTHER, "no")
    story.feed(fact.RestartAsked(WEB, 1))
    assert story.prepared("web", "h2").startswith("web: ready -> stopping")


def test_a_successor_that_nobody_needs_any_more_is_removed() -> None:
    """The definition is as before again, or changed once more: then the next one is made."""
    story = up()
    change(story)
    change(story, "h1")
    assert "RemoveContainer(unit='web', container='web-next'" in story.prepared("web", "h2")
    assert story.unit("web").phase is Phase.READY
    change(story, "h3")
    change(story, "h4")
    told = story.prepared("web", "h3").splitlines()
    assert (told[0][:15], told[1:]) == ("RemoveContainer", ["prepare web beside web-1"])


def test_a_successor_is_ordered_once_whatever_asks_for_it() -> None:
    story = up()
    change(story)
    assert story.feed(fact.RestartAsked(WEB, 1)) == ""
    assert story.unit("web").plan is Reason.MANUAL
    assert story.prepared("web", "h2").startswith("web: ready -> stopping")


def test_who_refers_to_a_changed_unit_waits_for_its_new_container() -> None:
    """Else its own would refer to the old one: nobody could see that afterwards, or its start would fail."""
    story = Story.of(spec("db"), spec("web", needs("db", Via.LINK)))
    story.connect()
    story.up("db", "web")
    specs = (replace(story.unit("db").spec, config_hash="h2"), replace(story.unit("web").spec, config_hash="h2"))
    assert story.feed(fact.ConfigRead(specs)) == "prepare db beside db-1"
    story.prepared("db", "h2")
    story.died("db", 0)
    story.created("db", "h2")
    told = story.started("db")
    assert "db: starting -> ready" in told
    assert "prepare web beside web-1" in told


def test_who_refers_to_a_unit_that_cannot_be_changed_does_not_wait_for_it() -> None:
    story = Story.of(spec("db"), spec("web", needs("db", Via.LINK)))
    story.connect()
    story.up("db", "web")
    specs = (replace(story.unit("db").spec, config_hash="h2"), replace(story.unit("web").spec, config_hash="h2"))
    story.feed(fact.ConfigRead(specs))
    story.unprepared("db", Failure.OTHER, "no")
    assert "prepare web beside web-1" in story.later(1).look(seen("db"), seen("web"))


def test_a_change_that_is_taken_back_is_over() -> None:
    story = up()
    change(story)
    story.unprepared("web", Failure.OTHER, "no")
    change(story, "h1")
    web = story.unit("web")
    assert (web.phase, web.kept, web.plan, web.reason) == (Phase.READY, "", None, "runs by its definition again")


def test_a_unit_that_dies_meanwhile_goes_on_with_its_successor() -> None:
    story = up()
    change(story)
    story.died("web")
    assert story.unit("web").phase is Phase.CREATING
    story.prepared("web", "h2")
    assert story.unit("web").successor is not None
    story.created("web", "h2")
    assert story.unit("web").successor is None


def test_an_unused_successor_goes_when_another_run_begins() -> None:
    story = up()
    story.change("web", outdated="")
    story.feed(fact.StopAsked(WEB, 1))
    story.prepared("web", "h0")
    story.died("web", 0)
    story.feed(fact.StartAsked(WEB, 2))
    assert "RemoveContainer(unit='web', container='web-next'" in story.started("web")


def test_a_container_that_is_taking_its_place_is_not_left_over() -> None:
    story = up()
    change(story)
    story.prepared("web", "h2")
    story.died("web", 0)
    assert story.unit("web").phase is Phase.CREATING
    told = story.connect(seen("web", running=False), seen("web", number=2, running=False, bears="0_web"))
    assert "Remove" not in told


def test_a_holder_that_was_removed_is_made_over_what_is_taken_from_it() -> None:
    holder = replace(spec("vols"), kind=Kind.VOLUME)
    story = Story.of(holder, spec("one", needs("vols", Via.VOLUMES)), spec("two", needs("vols", Via.VOLUMES)))
    story.connect()
    story.created("vols")
    story.up("one", "two")
    story.feed(fact.StopAsked(UnitName("one"), 1))
    story.died("one", 0)
    story.destroyed("vols")
    assert story.last is not None
    (order,) = (one for one in story.last.commands if isinstance(one, CreateContainer))
    assert (order.replaces, order.takers) == (None, (story.id("two"), story.id("one")))


def test_what_a_removed_container_had_in_anonymous_volumes_is_remembered() -> None:
    """Also over a restart of the supervisor: a stopped unit's container goes with the next `docker container prune`."""
    volume = "a" * 64
    story = up()
    look = Look(mounts=(("/data", volume), ("/etc", "/etc"), ("/named", "data")))
    story.feed(fact.ContainerLooked(WEB, story.id("web"), look))
    state = remember(story.world, Clocks(Instant(100), 1_000_000.0))
    (unit,) = recall((spec("web"),), state, Clocks(Instant(0), 1_000_000.0), same_boot=False, same_host_boot=True)
    assert unit.volumes == (("/data", volume),)
    story.later(60).destroyed("web")
    assert story.last is not None
    (order,) = (made for made in story.last.commands if isinstance(made, CreateContainer))
    assert (order.replaces, order.volumes) == (None, (("/data", volume),))


def test_an_ephemeral_unit_is_renewed_at_a_boot_of_the_host_only() -> None:
    """Not when the supervisor is restarted, not when its state was lost, and not at a later re-creation."""
    for kept, same_host, renews in ((True, False, True), (True, True, False), (False, False, False)):
        one = replace(spec("web"), rebuild=Rebuild.ALWAYS)
        story = Story.of(one)
        story.connect()
        story.up("web")
        clocks = Clocks(Instant(100), 1_000_000.0)
        state = remember(story.world, clocks) if kept else {}
        (unit,) = recall((one,), state, clocks, same_boot=False, same_host_boot=same_host)
        again = Story(replace(story.world, units={WEB: unit}, links=check((one,)).links, engine_up=False))
        again.connect(seen("web", running=False))
        assert again.last is not None
        (order,) = (made for made in again.last.commands if isinstance(made, CreateContainer))
        assert (order.replaces, order.renews) == (story.id("web"), renews)
        again.created("web")
        assert not again.unit("web").aged


def test_status_says_it_whatever_else_is_news() -> None:
    story = up()
    change(story)
    story.unprepared("web", Failure.OTHER, "no")
    story.change("web", reason="healthy")
    kept = "its definition changed; still runs in its present container: no"
    assert unit_row(story.unit("web"), float)["reason"] == f"healthy; {kept}"
