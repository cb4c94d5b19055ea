"""A file that is replaced is the old one or the new one, whatever happens meanwhile."""

import os
import stat
from pathlib import Path

import pytest

from supervisor.state.atomic import replace, replace_in


def test_a_file_is_replaced_with_the_mode_that_is_wanted(tmp_path: Path) -> None:
    """Whatever the old one's was, and a link is replaced, not followed."""
    path, victim = tmp_path / "file", tmp_path / "victim"
    victim.write_text("not ours")
    for mode in (0o600, 0o644):
        replace(path, b"new", mode)
        assert (path.read_bytes(), stat.S_IMODE(path.stat().st_mode)) == (b"new", mode)
    (tmp_path / ".file.new").symlink_to(victim)
    path.unlink()
    path.symlink_to(victim)
    replace(path, b"ours")
    assert (path.read_bytes(), path.is_symlink(), victim.read_text()) == (b"ours", False, "not ours")
    assert sorted(one.name for one in tmp_path.iterdir()) == ["file", "victim"]


def test_without_a_mode_the_umask_decides(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        replace(tmp_path / "file", b"", mode=None, durable=False, suffix="42")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == 0o640


def test_what_fails_leaves_the_old_file_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """At any step; nothing else is left."""
    path = tmp_path / "file"
    replace(path, b"old")
    for step in ("fchmod", "fsync", "replace"):
        with monkeypatch.context() as broken:
            broken.setattr(os, step, _failing(step))
            with pytest.raises(OSError, match=step):
                replace(path, b"new")
        assert path.read_bytes() == b"old"
        assert list(tmp_path.iterdir()) == [path]


def _failing(step: str) -> object:
    def fail(*_: object, **__: object) -> None:
        raise OSError(5, step)

    return fail


def test_an_open_directory_is_what_counts(tmp_path: Path) -> None:
    """It may have been moved meanwhile."""
    (tmp_path / "a").mkdir()
    fd = os.open(tmp_path / "a", os.O_RDONLY)
    (tmp_path / "a").rename(tmp_path / "b")
    replace_in(fd, "file", b"x", owner=(os.geteuid(), os.getegid()))
    os.close(fd)
    assert (tmp_path / "b" / "file").read_bytes() == b"x"
