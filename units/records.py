"""Records: dataclasses that weigh less, and are copied faster.

``dataclass``: the standard library writes and compiles six methods for each frozen class, 9 of the 13 KB that one
weighs; with some 200 of them that is more than all else of ours. Here all share one set of methods, and only
``__init__`` is its own. ``replace``: the standard library's calls the constructor with every field, 9 us for a unit,
three times on the way from a death to its restart. A record without slots can be copied as the dictionary it is.

To type checkers both are dataclasses' own.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dataclasses import dataclass, replace
else:
    import dataclasses
    from collections.abc import Callable

    def dataclass(
        declared: type | None = None, *, frozen: bool = False, slots: bool = False
    ) -> type | Callable[[type], type]:
        """As the standard library's, with these two options."""

        def make(declared: type) -> type:
            own = frozenset(declared.__dict__)
            made = dataclasses.dataclass(frozen=frozen, slots=slots)(declared)
            if frozen:
                _share_methods(made, own)
            return made

        return make if declared is None else make(declared)

    def _share_methods(made: type, own: frozenset[str]) -> None:
        """``own``: what the class itself defines, which stays."""
        compared = tuple(field.name for field in dataclasses.fields(made) if field.compare)
        made.__compared__ = made.__match_args__ if compared == made.__match_args__ else compared
        for method in (__setattr__, __delattr__, __repr__, __eq__, __hash__):
            if method.__name__ not in own:
                setattr(made, method.__name__, method)
        made.__init__.__annotations__.clear()  # 2 KB; the class has them, too.

    def __setattr__(_self: object, name: str, _value: object) -> None:  # noqa: N807
        raise dataclasses.FrozenInstanceError(f"cannot assign to field {name!r}")

    def __delattr__(_self: object, name: str) -> None:  # noqa: N807
        raise dataclasses.FrozenInstanceError(f"cannot delete field {name!r}")

    def __repr__(self: object) -> str:  # noqa: N807
        told = (f"{field.name}={getattr(self, field.name)!r}" for field in dataclasses.fields(self) if field.repr)
        return f"{type(self).__qualname__}({', '.join(told)})"

    def __eq__(self: object, other: object) -> bool:  # noqa: N807
        if type(other) is not type(self):
            return NotImplemented
        return _values(self) == _values(other)

    def __hash__(self: object) -> int:  # noqa: N807
        return hash(_values(self))

    def _values(record: object) -> tuple[object, ...]:
        return tuple([getattr(record, name) for name in type(record).__compared__])

    def replace(record: object, /, **changes: object) -> object:
        """A copy of a frozen record with these fields changed."""
        fields = getattr(record, "__dict__", None)
        if fields is None:
            return dataclasses.replace(record, **changes)
        new = object.__new__(type(record))
        new.__dict__.update(fields, **changes)
        return new


__all__ = ["dataclass", "replace"]
