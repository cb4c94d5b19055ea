"""Hooks, gates and notices: what others hear of events, and are asked before some. It cannot break supervision.

- ``notices``: what is worth telling a person, derived from what the core did. Pure.
- ``notifier``: queues, limits and circuits between that and its receivers.
- ``webhook``, ``command``: the receivers.
- ``happenings``, ``points``: typed events, and the points at which gates stand. Pure.
- ``folder``: what in ``hooks.d`` is a hook; ``marks``: how a Python function says that it is one.
- ``presence``: whether there are hooks at all; ``runner``, ``line``, ``gates``: who is told of what, who is asked, and
  what became of it.
- ``interpreter``, ``python``, ``child``: the process in which Python hooks run.
- ``ready_made``: hooks that need only be switched on.
- ``testing``: a host made of nothing but the core, to try hooks on.

May import: units.

A Python hook needs what is here: ``from hooks import on, gate, Veto, Contribution``.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hooks.marks import gate, on
    from hooks.points import Contribution, Veto

__all__ = ["Contribution", "Veto", "gate", "on"]


def __getattr__(name: str) -> Any:
    """Only who writes hooks needs these: a supervisor without any does not load them."""
    from importlib import import_module  # noqa: PLC0415 - as the docstring says

    if name not in __all__:
        raise AttributeError(f"module 'hooks' has no '{name}'")
    return getattr(import_module("hooks.marks" if name in {"gate", "on"} else "hooks.points"), name)
