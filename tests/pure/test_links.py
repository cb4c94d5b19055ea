"""The dependency graph: what is refused, what is dropped, and how a shutdown's time is shared."""

from hypothesis import given
from hypothesis import strategies as st

from tests.pure.story import after, needs, spec
from units.links import KILL_RESERVE, check, shares, start_order
from units.quantities import Seconds
from units.spec import UnitName, Via


def test_an_unknown_hard_target_is_an_error_and_a_soft_one_a_warning() -> None:
    """Both name the unit, the key and the target."""
    found = check([spec("web", needs("db"), after("ntp"))])
    assert found.errors == ("web: links: there is no unit 'db'",)
    assert found.warnings == ("web: after: there is no unit 'ntp'; ignored",)


def test_a_hard_cycle_is_refused_with_its_path_once() -> None:
    """However many units it has, it is told from its first by name."""
    found = check([spec("bb", needs("cc")), spec("cc", needs("aa")), spec("aa", needs("bb"))])
    assert found.errors == ("cycle: aa -> bb -> cc -> aa; break one of these edges",)


def test_a_unit_that_needs_itself_is_a_cycle() -> None:
    """The shortest one there is."""
    assert check([spec("aa", needs("aa"))]).errors == ("cycle: aa -> aa; break one of these edges",)


def test_a_soft_edge_that_closes_a_cycle_is_dropped_with_its_path() -> None:
    """The hard edge stays, the soft one goes."""
    found = check([spec("aa", needs("bb")), spec("bb", after("aa"))])
    assert found.errors == ()
    assert found.warnings == ("bb: after aa: closes the cycle bb -> aa -> bb; ignored",)
    assert found.links.leaders[UnitName("bb")] == ()
    assert found.links.followers[UnitName("bb")] == ("aa",)


def test_units_are_ordered_after_what_they_need() -> None:
    """Ties by name."""
    found = check([spec("web", needs("db")), spec("db", needs("vols", Via.VOLUMES)), spec("vols"), spec("app")])
    assert start_order(found.links) == ["app", "vols", "db", "web"]


def test_a_short_shutdown_takes_from_all_in_proportion() -> None:
    """A chain that needs 90 s gets 55 of 60, five kept for SIGKILLs; who needs more still gets more."""
    found = check([spec("db"), spec("web", needs("db"))])
    timeouts = {UnitName("db"): Seconds(60), UnitName("web"): Seconds(30)}
    shared = shares(found.links, timeouts, Seconds(60))
    assert round(sum(shared.values()), 6) == 60 - KILL_RESERVE
    assert shared[UnitName("db")] == 2 * shared[UnitName("web")]


def test_enough_time_is_left_as_it_is() -> None:
    """Units side by side do not add up."""
    found = check([spec("db"), spec("web")])
    timeouts = {UnitName("db"): Seconds(40), UnitName("web"): Seconds(40)}
    assert shares(found.links, timeouts, Seconds(60)) == timeouts


@given(st.data())
def test_no_chain_ever_gets_more_than_the_total(data: st.DataObject) -> None:
    """Whatever the graph, stopping one after another fits into the deadline."""
    names = [UnitName(f"u{number}") for number in range(data.draw(st.integers(1, 8)))]
    specs = [
        spec(name, *(needs(target) for target in data.draw(st.sets(st.sampled_from(names[:index]), max_size=3))))
        if index
        else spec(name)
        for index, name in enumerate(names)
    ]
    found = check(specs)
    timeouts = {name: Seconds(data.draw(st.floats(0, 100))) for name in names}
    total = Seconds(data.draw(st.floats(1, 120)))
    shared = shares(found.links, timeouts, total)
    longest: dict[UnitName, float] = {}
    for name in start_order(found.links):
        before = max((longest[edge.target] for edge in found.links.leaders[name]), default=0.0)
        longest[name] = before + shared[name]
    assert max(longest.values()) <= total + 1e-6
    assert all(shared[name] <= timeouts[name] for name in names)
