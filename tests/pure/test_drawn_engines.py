"""Each test is run on one of its engines: never on none, whatever its other parameters are called."""

import pytest

from tests.bed.engines import drawn

ENGINES = ("20.10", "26.1")


@pytest.mark.parametrize("others", [("",), ("crash", "oom", "restart"), ENGINES, tuple(map(str, range(40)))])
@pytest.mark.parametrize("place", ["{engine}-{other}", "{other}-{engine}"])
def test_each_test_has_exactly_one_engine(others: tuple[str, ...], place: str) -> None:
    """Also one whose other parameter is an engine as well."""
    ids = {
        f"tests/boot/test_x.py::test_y[{place.format(engine=engine, other=other)}]": (engine, other)
        for engine in ENGINES
        for other in others
    }
    chosen = drawn({test: engine for test, (engine, _) in ids.items()})
    assert sorted(ids[test][1] for test in chosen) == sorted(others)


def test_all_engines_have_their_share() -> None:
    ids = {f"test_x.py::test_{number}[{engine}]": engine for number in range(200) for engine in ENGINES}
    share = [ids[test] for test in drawn(ids)].count("26.1")
    assert 60 < share < 140
