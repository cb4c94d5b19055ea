"""What the rest of the program relies on in records: they stay as they were made, travel, and refuse what is wrong."""

import copy
import dataclasses
import pickle
from typing import ClassVar

import pytest

from units import events
from units.records import dataclass, replace
from units.spec import ContainerId, UnitName


@dataclass(frozen=True, slots=True)
class Point:
    """A place."""

    kind: ClassVar[str] = "point"
    x: int
    y: int = 2
    marks: dict[str, int] = dataclasses.field(default_factory=dict)

    @property
    def sum(self) -> int:
        return self.x + self.y


@dataclass(frozen=True, slots=True)
class Named(Point):
    name: str = ""


@dataclass(frozen=True)
class Loose:
    x: int
    y: int = 2


def test_another_class_with_the_same_fields_is_another_thing() -> None:
    unit = UnitName("u")
    assert events.StartAsked(unit) != events.RestartAsked(unit)  # type: ignore[comparison-overlap]
    assert Point(1) != Named(1)


def test_a_record_keeps_what_it_was_made_with() -> None:
    for record in (Point(1), Loose(1)):
        with pytest.raises(dataclasses.FrozenInstanceError, match="cannot assign to field 'x'"):
            record.x = 2  # type: ignore[misc]
        with pytest.raises(dataclasses.FrozenInstanceError, match="cannot delete field 'x'"):
            del record.x
    assert not hasattr(Point(1), "__dict__")


@pytest.mark.parametrize("record", [Point(1, marks={"a": 1}), Named(1, name="n"), Loose(1, 5)])
def test_the_standard_library_understands_a_record(record: Point) -> None:
    assert dataclasses.is_dataclass(type(record))
    names = [field.name for field in dataclasses.fields(record)]
    assert dataclasses.asdict(record) == {name: getattr(record, name) for name in names}
    assert dataclasses.replace(record, x=7) == replace(record, x=7) != record
    assert pickle.loads(pickle.dumps(record)) == record == copy.deepcopy(record)


def test_a_wrong_call_is_refused() -> None:
    with pytest.raises(TypeError, match="missing 1 required positional argument: 'container'"):
        events.ContainerCreated(UnitName("u"))  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="unexpected keyword argument 'z'"):
        replace(Point(1), z=1)  # type: ignore[call-arg]
    assert events.ContainerCreated(UnitName("u"), ContainerId("c")).container == "c"


def test_what_a_record_cannot_have_is_refused_by_name() -> None:
    with pytest.raises(TypeError, match="all records would share this list"):

        @dataclass(frozen=True, slots=True)
        class Shared:
            items: list[int] = []  # noqa: RUF012

    with pytest.raises(TypeError, match="fields without a default come first, not y"):

        @dataclass(frozen=True, slots=True)
        class Behind:
            x: int = 0
            y: int  # type: ignore[misc]

    with pytest.raises(TypeError, match="takes default_factory, nothing else"):

        @dataclass(frozen=True, slots=True)
        class Special:
            x: int = dataclasses.field(default=0, compare=False)
