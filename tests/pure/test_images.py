"""Which archives are loaded, and when again."""

import asyncio
import os
from pathlib import Path
from typing import cast

import structlog
from structlog.testing import capture_logs

from supervisor.engine.images import LoadReport, load_images
from supervisor.engine.port import Engine, EngineError
from units.unit import Failure


def is_bad(path: str) -> bool:
    return Path(path).read_text() == "bad"


class Loader:
    """The one call of an engine that is made here; a file that holds "bad" is refused."""

    def __init__(self) -> None:
        self.loaded: list[str] = []

    async def load(self, path: str) -> list[str]:
        if is_bad(path):
            raise EngineError(Failure.OTHER, "invalid tar header")
        self.loaded.append(Path(path).name)
        return ["busybox:demo"]


def load(loader: Loader, directory: Path, identity: str = "engine-1") -> LoadReport:
    return asyncio.run(
        load_images(
            directory,
            cast("Engine", loader),
            structlog.get_logger(),
            stamps=directory.parent / "stamps",
            identity=identity,
        )
    )


def archives(directory: Path, *names: str) -> Path:
    directory.mkdir()
    for name in names:
        (directory / name).write_text("good")
    return directory


def test_archives_are_loaded_once_in_order_of_names(tmp_path: Path) -> None:
    named = ("images-2.tar", "images-1.tar.zst", "images.tgz", "images.tar.xz", "images.tar.gz")
    directory = archives(tmp_path / "i", *named, "other.tar", "images.tar.bz2", "images.txt", "images.tar.sig")
    loader = Loader()
    assert load(loader, directory) == LoadReport(loaded=tuple(sorted(named)))
    assert load(loader, directory) == LoadReport(skipped=tuple(sorted(named)))
    assert loader.loaded == sorted(named)


def test_a_changed_archive_and_a_new_engine_load_again(tmp_path: Path) -> None:
    directory = archives(tmp_path / "i", "images.tar")
    loader = Loader()
    load(loader, directory)
    os.utime(directory / "images.tar", ns=(1, 1))  # older: replaced by a backup, say
    assert load(loader, directory).loaded == ("images.tar",)
    assert load(loader, directory, "engine-2").loaded == ("images.tar",)
    assert load(loader, directory, "engine-2").skipped == ("images.tar",)


def test_a_bad_archive_is_named_and_hinders_no_other(tmp_path: Path) -> None:
    directory = archives(tmp_path / "i", "images-1.tar", "images-2.tar")
    (directory / "images-1.tar").write_text("bad")
    with capture_logs() as logs:
        report = load(Loader(), directory)
    assert report == LoadReport(loaded=("images-2.tar",), failed=("images-1.tar",))
    assert [(line["event"], line["archive"], line.get("error")) for line in logs] == [
        ("images.failed", str(directory / "images-1.tar"), "invalid tar header"),
        ("images.loaded", str(directory / "images-2.tar"), None),
    ]
    (directory / "images-1.tar").write_text("mended")
    assert load(Loader(), directory).loaded == ("images-1.tar",)


def test_a_damaged_stamp_and_none_mean_load(tmp_path: Path) -> None:
    directory = archives(tmp_path / "i", "images.tar")
    load(Loader(), directory)
    (stamp,) = (tmp_path / "stamps").iterdir()
    stamp.write_text("")
    assert load(Loader(), directory).loaded == ("images.tar",)
    stamp.unlink()
    assert load(Loader(), directory).loaded == ("images.tar",)


def test_stamps_that_cannot_be_written_do_not_undo_a_load(tmp_path: Path) -> None:
    directory = archives(tmp_path / "i", "images.tar")
    (tmp_path / "stamps").touch()
    with capture_logs() as logs:
        assert load(Loader(), directory).loaded == ("images.tar",)
    assert [line["event"] for line in logs] == ["images.unstamped", "images.loaded"]


def test_no_directory_is_no_archive(tmp_path: Path) -> None:
    assert load(Loader(), tmp_path / "none") == LoadReport()
