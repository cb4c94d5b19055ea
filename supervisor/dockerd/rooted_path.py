"""Resolves paths in another process's file system, where links lead elsewhere than here."""

import os
from pathlib import Path


def within(root: Path, path: str, links: int = 40) -> Path:
    """Resolve a path in another process's file system, following links there."""
    left, here = [part for part in reversed(path.split("/")) if part not in {"", "."}], list[str]()
    while left:
        part = left.pop()
        if part == "..":
            here = here[:-1]
            continue
        found = root.joinpath(*here, part)
        if links and found.is_symlink():
            links -= 1
            target = os.readlink(found)  # noqa: PTH115 - as text: it may be absolute, and then means that root
            here = [] if target.startswith("/") else here
            left += [one for one in reversed(target.split("/")) if one not in {"", "."}]
        else:
            here.append(part)
    return root.joinpath(*here)
