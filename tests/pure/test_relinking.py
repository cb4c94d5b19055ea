"""Re-link: who holds on to what is over, in what order all are brought back in step, and who is left alone."""

import itertools
from dataclasses import replace

import pytest

from tests.pure.story import Story, needs, seen, spec
from units import events as fact
from units.events import Observed
from units.quantities import Seconds
from units.spec import ContainerId, Dependency, Kind, Policy, Rebuild, UnitName, Via
from units.unit import Look


def on(target: str, *, restart: bool = True) -> Dependency:
    return Dependency(UnitName(target), Via.DEPENDS_ON, restart=restart)


def looked(story: Story, name: str, **ties: object) -> str:
    return story.feed(fact.ContainerLooked(UnitName(name), story.id(name), Look(**ties)))  # type: ignore[arg-type]


def restarts(story: Story, *names: str) -> list[int]:
    return [story.unit(name).restarts for name in names]


def bounce(story: Story, name: str) -> str:
    """It dies, and is started again."""
    story.later(60).died(name)
    return story.later(1).started(name)


def follow(story: Story, name: str) -> str:
    """It ends as it was asked to, and is started again."""
    story.died(name, 0)
    return story.later(1).started(name)


def test_depends_on_with_restart_follows_and_without_it_does_not() -> None:
    story = Story.of(spec("db"), spec("web", on("db")), spec("log", on("db", restart=False)))
    story.connect()
    story.up("db", "web", "log")
    assert bounce(story, "db").splitlines()[:2] == ["db: starting -> ready", "web: ready -> stopping"]
    follow(story, "web")
    assert restarts(story, "db", "web", "log") == [1, 1, 0]
    assert story.unit("web").reason == "restarted to follow db"


def test_in_a_diamond_the_last_waits_for_both_and_goes_once() -> None:
    story = Story.of(
        spec("vpn"), spec("left", on("vpn")), spec("right", on("vpn")), spec("end", on("left"), on("right"), on("vpn"))
    )
    story.connect()
    story.up("vpn", "left", "right", "end")
    told = bounce(story, "vpn")
    assert "end" not in told
    assert "end" not in follow(story, "left")
    assert "end: ready -> stopping" in follow(story, "right")
    follow(story, "end")
    assert restarts(story, "vpn", "left", "right", "end") == [1, 1, 1, 1]


def test_a_chain_of_five_goes_from_its_head_to_its_end_for_one_cause() -> None:
    names = ["a", "b", "c", "d", "e"]
    story = Story.of(spec("a"), *(spec(name, on(before)) for before, name in itertools.pairwise(names)))
    story.connect()
    story.up(*names)
    bounce(story, "a")
    for name in names[1:]:
        follow(story, name)
    assert restarts(story, *names) == [1] * 5
    assert len({story.unit(name).wave for name in names[1:]}) == 1
    assert {story.unit(name).cause for name in names} == {story.unit("a").cause}


def test_a_leader_that_is_given_up_holds_nobody() -> None:
    """One leader will not come back soon: the other one's return is enough."""
    story = Story.of(spec("vpn"), spec("dead", policy=Policy.NO), spec("web", on("dead"), needs("vpn", Via.NET)))
    story.connect()
    story.up("vpn", "dead", "web")
    story.later(60).died("dead")
    assert "web: ready -> stopping" in bounce(story, "vpn")


def test_who_joined_a_container_that_was_made_anew_is_made_anew() -> None:
    """Without a start that would fail first: what it holds is known."""
    story = Story.of(spec("vpn"), spec("app", needs("vpn", Via.NET)))
    story.connect()
    story.up("vpn", "app")
    looked(story, "vpn")
    looked(story, "app", holds=((Via.NET, ContainerId("vpn-1")),))
    story.later(60).destroyed("vpn")
    story.created("vpn")
    looked(story, "vpn", created=1.0)
    assert story.started("vpn").splitlines()[:2] == ["vpn: starting -> ready", "prepare app beside app-1"]
    assert story.prepared("app").startswith("app: ready -> stopping")
    assert "create app replacing app-1 by app-next" in story.died("app", 0)


def test_a_link_follows_an_address_and_not_a_restart() -> None:
    story = Story.of(spec("db"), spec("web", needs("db")))
    story.connect()
    story.up("db", "web")
    looked(story, "db", address="172.17.0.2")
    assert "TakeSnapshot" in bounce(story, "db")
    assert looked(story, "db", address="172.17.0.2") == ""
    bounce(story, "db")
    assert looked(story, "db", address="172.17.0.9").splitlines()[0] == "web: ready -> stopping"
    follow(story, "web")
    assert restarts(story, "db", "web") == [2, 1]


def test_a_link_to_a_container_that_was_made_anew() -> None:
    story = Story.of(spec("db"), spec("web", needs("db")))
    story.connect()
    story.up("db", "web")
    looked(story, "db", created=1.0)
    looked(story, "web", created=2.0)
    story.later(60).destroyed("db")
    story.created("db")
    looked(story, "db", created=3.0)
    assert "prepare web beside web-1" in story.started("db")
    assert "web: ready -> stopping" in story.prepared("web")
    assert "create web replacing web-1" in story.died("web", 0)


def test_taken_volumes_are_taken_again_when_they_are_others() -> None:
    """Not when the donor was merely made anew, nor for a place that the taker fills itself."""
    story = Story.of(spec("vols"), spec("web", needs("vols", Via.VOLUMES)))
    story.connect()
    story.up("vols", "web")
    looked(story, "vols", mounts=(("/data", "v1"), ("/etc", "/mine")))
    looked(story, "web", mounts=(("/data", "v1"), ("/etc", "/own")), own_places=frozenset({"/etc"}))
    assert looked(story, "vols", mounts=(("/data", "v1"), ("/etc", "/other")), created=5.0) == ""
    assert "prepare web beside web-1" in looked(story, "vols", mounts=(("/data", "v2"),), created=6.0)
    assert story.prepared("web").startswith("web: ready -> stopping")
    assert "create web replacing web-1" in story.died("web", 0)


def test_nobody_is_moved_to_an_anonymous_volume_in_place_of_another() -> None:
    """Whoever made it made it empty. A place where the taker has nothing is taken, whatever is there."""
    story = Story.of(spec("vols"), spec("web", needs("vols", Via.VOLUMES)))
    story.connect()
    story.up("vols", "web")
    looked(story, "web", mounts=(("/data", "v1"),))
    assert looked(story, "vols", mounts=(("/data", "a" * 64),), created=6.0) == ""
    more = (("/data", "a" * 64), ("/more", "b" * 64))
    assert "prepare web beside web-1" in looked(story, "vols", mounts=more, created=6.0)


def test_a_container_that_is_never_made_anew_stays_as_it_is() -> None:
    keeps = replace(spec("web", needs("vols", Via.VOLUMES)), rebuild=Rebuild.NEVER)
    story = Story.of(spec("vols"), keeps)
    story.connect()
    story.up("vols", "web")
    looked(story, "web", mounts=(("/data", "v1"),))
    assert looked(story, "vols", mounts=(("/data", "v2"),)) == ""


def test_who_does_not_want_it_is_left_alone() -> None:
    story = Story.of(spec("vpn"), replace(spec("app", needs("vpn", Via.NET)), relink=False))
    story.connect()
    story.up("vpn", "app")
    assert bounce(story, "vpn") == "vpn: starting -> ready"


def found(name: str, started: float, **ties: object) -> Observed:
    look = Look(**ties)  # type: ignore[arg-type]
    return replace(seen(name), ran_for=Seconds(2000 - started), started=started, look=look)


@pytest.mark.parametrize("app_first", [True, False])
def test_what_went_stale_while_we_were_away_is_found_and_healed(app_first: bool) -> None:
    """The first snapshot tells by the engine's clock who was started first."""
    story = Story.of(spec("vpn"), spec("app", needs("vpn", Via.NET)))
    told = story.connect(found("vpn", 1500), found("app", 1400 if app_first else 1600))
    assert ("app: ready -> stopping" in told) == app_first


def test_a_stale_id_is_found_by_the_audit() -> None:
    story = Story.of(spec("vpn"), spec("app", needs("vpn", Via.NET)))
    told = story.connect(found("vpn", 1500), found("app", 1600, holds=((Via.NET, ContainerId("gone")),)))
    assert "prepare app beside app-1" in told
    assert "app: ready -> stopping" in story.prepared("app")
    assert "create app replacing app-1" in story.died("app", 0)


def test_an_owner_that_keeps_coming_and_going_is_not_followed_for_ever() -> None:
    story = Story.of(spec("vpn"), spec("app", needs("vpn", Via.NET)))
    story.connect()
    story.up("vpn", "app")
    for _ in range(5):
        story.later(11).died("vpn")
        assert "app: ready -> stopping" in story.started("vpn")
        story.died("app", 0)
        story.started("app")
    story.later(11).died("vpn")
    assert "arm app look" in story.started("vpn")
    told = story.later(60).feed(fact.LookDue(UnitName("app"), story.token("app")))
    assert told.startswith("app: ready -> stopping")


@pytest.mark.parametrize("policy", [Policy.ALWAYS, Policy.NO])
def test_who_went_with_a_pid_namespace_comes_back_with_it(policy: Policy) -> None:
    """Whatever its own policy says: it did not die of itself. The kernel ends members first, the owner last."""
    story = Story.of(spec("owner"), spec("member", needs("owner", Via.PID), policy=policy))
    story.connect()
    story.up("owner", "member").later(60)
    assert story.died("member", 137) == "member: ready -> exited\narm member verdict 0.25"
    story.died("owner", 137)
    verdict = fact.VerdictDue(UnitName("member"), story.token("member"))
    assert story.later(0.25).feed(verdict) == "member: exited -> waiting"
    assert "member: waiting -> starting" in story.started("owner")
    story.started("member")
    assert story.unit("member").budget.restarts == ()


def test_an_owner_s_end_that_is_reported_late_reopens_the_verdict() -> None:
    """A busy engine reports it after the wait for it is over: the member was not left to its operator for good."""
    story = Story.of(spec("owner", kind=Kind.FOREIGN), spec("member", needs("owner", Via.PID), kind=Kind.FOREIGN))
    story.connect()
    story.up("owner", "member").later(60)
    story.died("member", 137)
    verdict = fact.VerdictDue(UnitName("member"), story.token("member"))
    assert story.later(0.25).feed(verdict) == "member: exited -> inactive"
    assert "member: inactive -> waiting" in story.later(0.1).died("owner", 137)
    assert "member: waiting -> starting" in story.started("owner")


def test_an_owner_s_end_much_later_is_another_matter() -> None:
    story = Story.of(spec("owner", kind=Kind.FOREIGN), spec("member", needs("owner", Via.PID), kind=Kind.FOREIGN))
    story.connect()
    story.up("owner", "member").later(60)
    story.died("member", 137)
    story.later(0.25).feed(fact.VerdictDue(UnitName("member"), story.token("member")))
    assert "member" not in story.later(60).died("owner", 137)


def test_who_died_alone_in_a_pid_namespace_died_of_itself() -> None:
    story = Story.of(spec("owner"), spec("member", needs("owner", Via.PID), policy=Policy.NO))
    story.connect()
    story.up("owner", "member").later(60)
    story.died("member", 137)
    verdict = fact.VerdictDue(UnitName("member"), story.token("member"))
    assert story.later(0.25).feed(verdict) == "member: exited -> failed"


def test_a_cycle_turns_nobody_round_and_round() -> None:
    """Foreign labels may say anything: the edge that would close the cycle is dropped, and told."""
    one = replace(spec("one", Dependency(UnitName("two"), Via.DEPENDS_ON, hard=False, restart=True)))
    two = replace(spec("two", Dependency(UnitName("one"), Via.DEPENDS_ON, hard=False, restart=True)))
    story = Story.of(one, two)
    story.connect()
    for name in ("one", "two", "one", "two"):
        if story.unit(name).phase == "creating":
            story.created(name)
            story.started(name)
    assert story.phases() == {"one": "ready", "two": "ready"}
    for name in ("one", "two"):
        bounce(story, name)
        for other in ("one", "two"):
            if story.unit(other).phase == "stopping":
                follow(story, other)
    assert story.phases() == {"one": "ready", "two": "ready"}
    assert sum(restarts(story, "one", "two")) == 3
