"""Tests that only ``nox -s long`` runs: others of their kind are among the usual ones, and time is short."""

from collections.abc import Callable, Iterable
from typing import Any

import pytest


def long_but(*usual: object, values: Iterable[Any]) -> list[Any]:
    """Values for ``parametrize``, of which only these are run each time."""
    return [one if one in usual else pytest.param(one, marks=pytest.mark.long) for one in values]


def named(function: Callable[..., object]) -> str:
    """For ``ids``."""
    return str(function.__name__)
