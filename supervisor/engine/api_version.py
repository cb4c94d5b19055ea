"""The version of the engine's API that all calls speak, and how versions compare. Pure, and light."""

import re

API = "1.41"
"""Served by every engine from Docker 20.10 on. Pinned: a version that is asked for once is wrong after the engine was
replaced by an older one."""


def as_numbers(version: str) -> tuple[int, ...]:
    """To compare; an engine that says nonsense is taken for the oldest."""
    return tuple(int(part) for part in re.findall(r"[0-9]{1,9}", version[:40])) or (0,)


def too_old(highest: str) -> bool:
    """An engine that serves this version at most cannot be used."""
    return as_numbers(highest) < as_numbers(API)


def too_new(lowest: str) -> bool:
    """An engine that serves this version at least does not understand us."""
    return as_numbers(lowest) > as_numbers(API)
