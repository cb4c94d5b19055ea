"""Hooks, gates and notices: what others hear of events, and are asked before some. It cannot break supervision.

- ``notices``: the notices for people, derived from reactions of the core. Pure.
- ``notifier``: queues, limits and circuits between that and its receivers.
- ``webhook``, ``command``: the receivers.
- ``happenings``, ``points``: typed events, and the points at which gates stand. Pure.
- ``folder``: finds the hooks in ``hooks.d``; ``marks``: the decorators of Python hooks.
- ``presence``: loads the runner when there are hooks; ``runner``, ``line``, ``gates``: queues events, asks gates, and
  counts the results.
- ``interpreter``, ``python``, ``child``: the process in which Python hooks run.
- ``ready_made``: hooks that only need to be enabled.
- ``testing``: a simulated host, to test hooks on.

May import: units.

A Python hook imports from here: ``from hooks import on, gate, Veto, Contribution``.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hooks.marks import gate, on
    from hooks.points import Contribution, Veto

__all__ = ["Contribution", "Veto", "gate", "on"]


def __getattr__(name: str) -> Any:
    """Load these on first use: a supervisor without hooks does not need them."""
    from importlib import import_module  # noqa: PLC0415 - as the docstring says

    if name not in __all__:
        raise AttributeError(f"module 'hooks' has no '{name}'")
    return getattr(import_module("hooks.marks" if name in {"gate", "on"} else "hooks.points"), name)
