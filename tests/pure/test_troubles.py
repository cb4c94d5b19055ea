"""What the host has to do without is in the world until it is over; nothing of it stops anything."""

from dataclasses import replace

from tests.pure.story import Story, needs, spec
from units import events as fact
from units.events import Observed
from units.quantities import Seconds
from units.spec import ContainerId, UnitName
from units.troubles import Concern, Reload, Timing, TroubleTold


def up() -> Story:
    story = Story.of(spec("web"))
    story.connect()
    story.up("web")
    return story


def test_a_trouble_stands_until_it_is_over() -> None:
    """Each concern has one; no unit moves for it."""
    story = up()
    assert story.feed(TroubleTold(Concern.STATE, "the disk is full")) == ""
    story.feed(TroubleTold(Concern.CHOICE, "gone"))
    story.feed(TroubleTold(Concern.STATE, "read-only"))
    assert story.world.troubles == {Concern.CHOICE: "gone", Concern.STATE: "read-only"}
    story.feed(TroubleTold(Concern.STATE, ""))
    assert story.world.troubles == {Concern.CHOICE: "gone"}


def test_a_refused_configuration_is_a_trouble_until_a_good_one_is_read() -> None:
    """By the reader, or by the core."""
    story = up()
    for refused in (fact.ConfigRefused("no YAML"), fact.ConfigRead((spec("web", needs("nobody")),))):
        story.feed(refused)
        assert story.world.reload is Reload.REFUSED
        assert "stays in force" in story.world.troubles[Concern.CONFIGURATION]
        story.feed(fact.ConfigRead((spec("web"),)))
        assert (story.world.reload, story.world.troubles) == (Reload.IN_FORCE, {})


def test_what_needs_a_restart_is_said_until_a_configuration_without_it() -> None:
    """A setting that a reload cannot apply is never dropped without a word."""
    story = up()
    story.feed(fact.ConfigRead((spec("web"),), timing=Timing(Seconds(5)), later="needs a restart: args"))
    assert story.world.troubles == {Concern.RESTART: "needs a restart: args"}
    assert story.last is not None
    assert story.last.notices == ("needs a restart: args",)
    story.feed(fact.ConfigRead((spec("web"),)))
    assert story.world.troubles == {}


def test_what_runs_of_a_unit_that_is_gone_is_named() -> None:
    """It is left alone; one that does not run is none, and one that has ended is none any more."""
    story = up()
    web = Observed(UnitName("web"), ContainerId("web-1"), "web", running=True, created=False)
    old = Observed(UnitName("old"), ContainerId("old-1"), "old-name", running=True, created=False)
    told = story.feed(fact.SnapshotTaken((web, old, replace(old, name="other", running=False)), "period"))
    assert "old" not in told
    assert list(story.world.orphans) == ["old-name"]
    assert "old-name" in story.world.troubles[Concern.ORPHANS]
    story.feed(fact.SnapshotTaken((web,), "period"))
    assert not story.world.orphans
    assert not story.world.troubles
