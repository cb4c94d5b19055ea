"""``replace`` for records, fast for those that have a ``__dict__``.

``dataclasses.replace`` calls the constructor with every field: 9 us for a unit, three times on the way from a death to
its restart. A record without slots can be copied as the dictionary it is. To type checkers it is dataclasses' own.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dataclasses import replace
else:
    import dataclasses

    def replace(record: object, /, **changes: object) -> object:
        """A copy of a frozen record with these fields changed."""
        fields = getattr(record, "__dict__", None)
        if fields is None:
            return dataclasses.replace(record, **changes)
        new = object.__new__(type(record))
        new.__dict__.update(fields, **changes)
        return new


__all__ = ["replace"]
