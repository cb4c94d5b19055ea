"""The dependency graph: what is refused, what is dropped, and how a shutdown's time is shared."""

from collections.abc import Iterator

from hypothesis import given
from hypothesis import strategies as st

from tests.pure.story import after, needs, spec
from units.links import KILL_RESERVE, MOST_CYCLES, Links, check, shares, start_order
from units.quantities import Seconds
from units.spec import Dependency, UnitName, Via


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


def test_a_chain_of_any_length_is_read_in_one_pass() -> None:
    """Longer than Python's stack, written from either end; counted by the looks at an edge, not by a clock."""
    looks = 0

    class Counted(tuple[Dependency, ...]):
        __slots__ = ()

        def __iter__(self) -> Iterator[Dependency]:
            nonlocal looks
            looks += 1
            return super().__iter__()

    many = 3000
    chain = [spec(f"u{i:04}", *([needs(f"u{i + 1:04}")] if i + 1 < many else [])) for i in range(many)]
    for units in (chain, chain[::-1]):
        found = check(units)
        assert found.errors == found.warnings == ()
        links = Links({name: Counted(wanted) for name, wanted in found.links.leaders.items()}, found.links.followers)
        assert start_order(links) == sorted(links.leaders, reverse=True)
    assert looks <= 4 * many


def test_cycles_are_told_up_to_a_number_and_each_knot_at_least_once() -> None:
    """A ring of hundreds is one line; of hundreds of rings the first few are told."""
    ring = [spec(f"u{i:03}", needs(f"u{(i + 1) % 500:03}")) for i in range(500)]
    assert len(check(ring).errors) == 1
    pairs = [spec(f"u{i:03}", needs(f"u{i ^ 1:03}")) for i in range(500)]
    assert len(check(pairs).errors) == MOST_CYCLES


@given(st.data())
def test_what_is_in_force_never_has_a_cycle_and_lacks_no_edge_without_reason(data: st.DataObject) -> None:
    """Hard edges all stay or are refused; a soft one goes only when it closes a cycle."""
    names = [f"u{number}" for number in range(data.draw(st.integers(1, 7)))]
    some = st.sets(st.sampled_from(names), max_size=3)
    hard, soft = ({name: sorted(data.draw(some)) for name in names} for _ in range(2))
    units = [spec(name, *map(needs, hard[name]), *map(after, soft[name])) for name in names]
    found = check(units)

    def closed(edges: set[tuple[str, str]]) -> bool:
        """By removing what needs nothing that is left."""
        left = set(names)
        while free := {name for name in left if not any(a == name and b in left for a, b in edges)}:
            left -= free
        return bool(left)

    wanted = {(name, target) for name in names for target in hard[name]}
    assert bool(found.errors) == closed(wanted)
    if found.errors:
        return
    kept = set(wanted)
    for name in names:
        for target in soft[name]:
            if not closed(kept | {(name, target)}):
                kept.add((name, target))
    assert kept == {(name, str(edge.target)) for name, edges in found.links.leaders.items() for edge in edges}
