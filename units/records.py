"""Records: dataclasses that weigh less, and are made and copied faster.

``dataclass``: the standard library writes and compiles six methods for each frozen class, and keeps a description of
each field: 13 KB for a small one, and there are some 200 of them. A record of ours has a constructor of its own and
takes all else from ``Record``: 3 KB. The standard library's tools (``fields``, ``asdict``, ``replace``) understand it;
what they ask for is made when they ask. ``replace``: the standard library's calls the constructor with every field,
9 us for a unit, three times on the way from a death to its restart. A record without slots can be copied as the
dictionary it is.

To type checkers both are dataclasses' own.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dataclasses import dataclass, replace
else:
    import dataclasses
    import inspect
    from collections.abc import Callable, Mapping
    from functools import cache
    from types import CodeType, FunctionType
    from typing import Any, ClassVar, get_origin

    class _Description:
        """``__dataclass_fields__``: what makes a class a dataclass to the standard library."""

        def __init__(self) -> None:
            self._of: dict[type, Mapping[str, dataclasses.Field[Any]]] = {}

        def __get__(self, _record: object, kind: type) -> "Mapping[str, dataclasses.Field[Any]]":
            if kind not in self._of:
                declared = [(name, note, _declared(default)) for name, (note, default) in _fields(kind).items()]
                self._of[kind] = dataclasses.make_dataclass(kind.__name__, declared).__dataclass_fields__
            return self._of[kind]

    class Record:
        """What all frozen records share."""

        __slots__ = ()
        __match_args__ = ()
        __dataclass_fields__ = _Description()
        __dataclass_params__ = dataclasses.dataclass(frozen=True)(type("_", (), {})).__dataclass_params__

        def __setattr__(self, name: str, _value: object) -> None:
            raise dataclasses.FrozenInstanceError(f"cannot assign to field {name!r}")

        def __delattr__(self, name: str) -> None:
            raise dataclasses.FrozenInstanceError(f"cannot delete field {name!r}")

        def __repr__(self) -> str:
            told = (f"{name}={getattr(self, name)!r}" for name in self.__match_args__)
            return f"{type(self).__qualname__}({', '.join(told)})"

        def __eq__(self, other: object) -> bool:
            if type(other) is not type(self):
                return NotImplemented
            return values(self) == values(other)

        def __hash__(self) -> int:
            return hash(values(self))

        def __reduce__(self) -> tuple[type, tuple[object, ...]]:
            return type(self), values(self)

    def values(record: Record) -> tuple[object, ...]:
        """In the order of the fields."""
        return tuple([getattr(record, name) for name in record.__match_args__])

    class _Made:
        """A default that is created for each record."""

        __slots__ = ("make",)

        def __init__(self, make: Callable[[], object]) -> None:
            self.make = make

    _NONE = object()
    """No default."""
    _CONSTRUCTOR = {"_set": object.__setattr__, "_Made": _Made}
    """What constructors see."""

    def dataclass(
        declared: type | None = None, *, frozen: bool = False, slots: bool = False
    ) -> type | Callable[[type], type]:
        """As the standard library's, with these two options. Of ``field``, frozen records know ``default_factory``."""

        def make(declared: type) -> type:
            return _record(declared, slots=slots) if frozen else dataclasses.dataclass(slots=slots)(declared)

        return make if declared is None else make(declared)

    def _record(declared: type, *, slots: bool) -> type:
        """A class of the same body that is a Record. Raises TypeError for what a record cannot have."""
        body = dict(declared.__dict__)
        notes = inspect.get_annotations(declared)
        own = {
            name: (note, _default(declared, name, body.pop(name, _NONE)))
            for name, note in notes.items()
            if note is not ClassVar and get_origin(note) is not ClassVar
        }
        bases = tuple(base for base in declared.__bases__ if base is not object)
        if not any(issubclass(base, Record) for base in bases):
            bases = (Record, *bases)
        fields = {**_inherited(bases), **own}
        for name in ("__dict__", "__weakref__"):
            body.pop(name, None)
        if body.get("__doc__") is None:
            body.pop("__doc__", None)
        if slots:
            body["__slots__"] = tuple(name for name in own if name not in _inherited(bases))
        body["__match_args__"] = tuple(fields)
        body["__init__"] = _constructor(declared, fields)
        return type(declared)(declared.__name__, bases, body)

    def _default(declared: type, name: str, default: object) -> object:
        if isinstance(default, dataclasses.Field):
            made = default.default_factory
            if made is not dataclasses.MISSING and default.repr and default.compare and default.init:
                return _Made(made)
            raise TypeError(f"{declared.__qualname__}.{name}: a record's field() takes default_factory, nothing else")
        if default.__class__.__hash__ is None:
            raise TypeError(f"{declared.__qualname__}.{name}: all records would share this {type(default).__name__}")
        return default

    def _constructor(declared: type, fields: "Mapping[str, tuple[object, object]]") -> Callable[..., None]:
        defaults = [default for _, default in fields.values() if default is not _NONE]
        bare = [name for name, (_, default) in list(fields.items())[-len(defaults) :] if default is _NONE]
        if defaults and bare:
            raise TypeError(f"{declared.__qualname__}: fields without a default come first, not {bare[0]}")
        lines = [
            f"_set(self, {name!r}, {name}.make() if {name}.__class__ is _Made else {name})"
            if isinstance(default, _Made)
            else f"_set(self, {name!r}, {name})"
            for name, (_, default) in fields.items()
        ]
        text = f"def __init__({', '.join(('self', *fields))}): {'; '.join(lines) or 'pass'}"
        made = FunctionType(_compiled(text), _CONSTRUCTOR, "__init__")
        made.__defaults__ = tuple(defaults) or None
        made.__qualname__ = f"{declared.__qualname__}.__init__"
        return made

    @cache
    def _compiled(text: str) -> CodeType:
        """Classes whose fields have the same names share it."""
        written: dict[str, Any] = {}
        exec(text, written)  # noqa: S102 - names of our own fields
        return written["__init__"].__code__

    def _fields(kind: type) -> "dict[str, tuple[object, object]]":
        """Annotation and default of each field, read off a finished class."""
        names = kind.__match_args__
        defaults = (kind.__init__.__defaults__ or ()) if names else ()
        padded = (*[_NONE] * (len(names) - len(defaults)), *defaults)
        notes: dict[str, object] = {}
        for base in reversed(kind.__mro__):
            notes |= inspect.get_annotations(base)
        return {name: (notes[name], default) for name, default in zip(names, padded, strict=True)}

    def _inherited(bases: tuple[type, ...]) -> "dict[str, tuple[object, object]]":
        found: dict[str, tuple[object, object]] = {}
        for base in reversed(bases):
            found |= _fields(base) if issubclass(base, Record) else {}
        return found

    def _declared(default: object) -> "dataclasses.Field[Any]":
        if default is _NONE:
            return dataclasses.field()
        if isinstance(default, _Made):
            return dataclasses.field(default_factory=default.make)
        return dataclasses.field(default=default)

    def replace(record: object, /, **changes: object) -> object:
        """A copy of a frozen record with these fields changed."""
        kind = type(record)
        fields = getattr(record, "__dict__", None)
        if fields is None:
            return kind(**{name: getattr(record, name) for name in kind.__match_args__} | changes)
        new = object.__new__(kind)
        object.__setattr__(new, "__dict__", {**fields, **changes})  # One dictionary copied as it is, then changed.
        return new


__all__ = ["dataclass", "replace"]
