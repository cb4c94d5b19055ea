"""What an engine refuses for reasons of its own is not the unit's fault; and what it cannot start is made anew."""

import itertools
from dataclasses import replace

import pytest

from hooks.notices import UNTOLD, Notice, NoticeKind, notices
from supervisor.engine.errors import failure
from tests.pure.story import Story, spec
from units import events as fact
from units.commands import ArmTimer
from units.spec import Kind, Policy, Rebuild, UnitName
from units.unit import Failure, Phase

WEB = UnitName("web")


def refused(story: Story, what: Failure, message: str = "refused") -> str:
    return story.feed(fact.StartFailed(WEB, story.id("web"), what, message))


def again(story: Story) -> str:
    return story.feed(fact.RetryDue(WEB, story.token("web")))


def died() -> Story:
    story = Story.of(spec("web"))
    story.connect()
    story.up("web").later(60)
    story.died("web", 1)
    return story


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("failed to create task: task 3fa0: already exists: unknown", Failure.HELD),
        ("OCI runtime create failed: container with id exists: 3fa0: unknown", Failure.HELD),
        ("id already in use", Failure.HELD),
        ('The name "/web" is already in use by container "3fa0"', Failure.NAME_TAKEN),
        ("mkdir /var/lib/docker/containers/3f: no space left on device", Failure.EXHAUSTED),
        ("fork/exec /proc/self/exe: cannot allocate memory", Failure.EXHAUSTED),
        ("pipe2: too many open files", Failure.EXHAUSTED),
        (
            'desc = "transport: Error while dialing dial unix /run/x.sock: connect: refused": unavailable',
            Failure.EXHAUSTED,
        ),
        ("error reading from server: EOF: unavailable", Failure.EXHAUSTED),
        ("transport is closing: unavailable", Failure.EXHAUSTED),
        ("bind source path does not exist: /run/containerd/containerd.sock", Failure.ABSENT),
        ("the device of this program is: unavailable", Failure.OTHER),
    ],
)
def test_what_engines_say(said: str, meant: Failure) -> None:
    assert failure(500, said, "start", "3fa0") is meant


@pytest.mark.parametrize("lack", [Failure.EXHAUSTED, Failure.UNREACHABLE])
def test_what_the_engine_lacks_costs_nothing(lack: Failure) -> None:
    """Twenty refusals later the budget is as it was, and the next try is a minute away at most."""
    story = died()
    budget = replace(story.unit("web").budget, restarts=())
    for _ in range(20):
        refused(story.later(100), lack)
        unit = story.unit("web")
        assert unit.phase is Phase.BACKOFF
        assert (unit.budget.failures, unit.budget.restarts) == (budget.failures, ())
        again(story.later(75))
    assert story.unit("web").phase is Phase.STARTING


def test_the_second_time_that_the_last_run_is_held_it_is_made_anew() -> None:
    story = died()
    assert "web: starting -> backoff" in refused(story, Failure.HELD)
    again(story.later(1))
    assert "create web replacing web-1" in refused(story, Failure.HELD)


def test_a_container_with_a_person_s_files_is_not_made_anew_without_being_asked() -> None:
    story = died()
    story.change("web", spec=replace(story.unit("web").spec, rebuild=Rebuild.NEVER))
    refused(story, Failure.HELD)
    again(story.later(1))
    assert refused(story, Failure.HELD).startswith("web: starting -> failed")
    assert "run `docker rm -f web`" in story.unit("web").reason


def watched() -> Story:
    """A watch has restarted it, and it is down."""
    story = Story.of(spec("web", kind=Kind.FOREIGN, policy=Policy.ALWAYS))
    story.connect()
    story.feed(fact.ContainerCreated(WEB, story.id("web")))
    story.started("web")
    story.later(60).feed(fact.RestartAsked(WEB))
    story.died("web", 0)
    return story


def test_the_watch_makes_a_held_container_anew_too() -> None:
    story = watched()
    refused(story, Failure.HELD)
    again(story.later(1))
    assert "web: starting -> creating" in refused(story, Failure.HELD)


def test_who_was_taken_down_by_us_is_tried_soon_and_told_at_once() -> None:
    """Its program is gone: 1, 2, 4 s, ever later; and one notice, until it is well."""
    story = watched()
    waits: list[str] = []
    told: list[Notice] = []
    troubled = UNTOLD
    for _ in range(10):
        waits.append(refused(story, Failure.UNRECOVERABLE, "no such command").rpartition(" ")[2])
        assert story.last is not None
        some, troubled = notices(fact.RetryDue(WEB, 0), story.last, troubled)
        told += some
        again(story.later(300))
    assert waits == ["1", "2", "4", "8", "16", "32", "64", "128", "256", "300"]
    assert [(one.event, one.state) for one in told] == [(NoticeKind.GIVE_UP, "failed")]


def test_what_is_absent_is_looked_for_every_few_seconds() -> None:
    """Such a try costs nothing: a disk that is mounted late, or a program that is upgraded, is found at once."""
    story = Story.of(spec("web"))
    story.connect()
    waits: list[str] = []
    for _ in range(62):
        story.feed(fact.CreateFailed(WEB, Failure.ABSENT, "bind source path does not exist: /mnt/data"))
        assert story.last is not None
        waits += [f"{one.delay:g}" for one in story.last.commands if isinstance(one, ArmTimer)]
        again(story.later(5))
    assert waits == ["1", "2", "4", *["5"] * 57, "30", "30"]


def test_an_image_that_cannot_be_pulled_is_looked_for_in_between() -> None:
    """Pulls are ever further apart, looks are not: an image that somebody loads is used within seconds."""
    story = Story.of(spec("web"))
    story.connect()
    missing = fact.CreateFailed(WEB, Failure.IMAGE_MISSING, "No such image: web")
    pulls: list[float] = []
    for _ in range(40):
        if "web: creating -> pulling" in story.feed(missing):
            pulls.append(story.now)
            story.feed(fact.PullFailed(WEB, Failure.IMAGE_MISSING, "no registry"))
        assert story.last is not None
        (wait,) = [one.delay for one in story.last.commands if isinstance(one, ArmTimer)]
        assert wait <= 5 or len(pulls) > 6
        assert "web: image-missing -> creating" in again(story.later(wait))
    assert [round(after - before) for before, after in itertools.pairwise(pulls)][:5] == [5, 10, 20, 40, 80]
    story.created("web")
    assert story.phases()["web"] == "starting"


def test_an_image_that_is_not_to_be_pulled_is_looked_for_every_few_seconds() -> None:
    """Somebody loads it; nothing else can bring it."""
    story = Story.of(replace(spec("web"), pull=False))
    story.connect()
    waits: list[str] = []
    for _ in range(5):
        told = story.feed(fact.CreateFailed(WEB, Failure.IMAGE_MISSING, "No such image: web"))
        assert "creating -> image-missing" in told
        waits.append(told.rpartition(" ")[2])
        again(story.later(5))
    assert waits == ["1", "2", "4", "5", "5"]
