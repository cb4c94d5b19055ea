"""What was saved is loaded, or it is known to be damaged; nothing in between."""

import json
import resource
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from supervisor.state.file import CorruptError, StateError, StateFile, decode, encode

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)
STATES = st.dictionaries(st.text(), JSON)
STATE: dict[str, Any] = {"units": {"console": {"restarts": 3, "delay": 0.4}}}


def state_file(directory: Path) -> StateFile:
    return StateFile(directory / "state.json", structlog.get_logger())


@contextmanager
def no_file_longer_than(size: int) -> Iterator[None]:
    """A disk that fills up, as far as the process can tell: part is written, then the kernel refuses."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@given(STATES)
def test_what_is_encoded_is_decoded(state: dict[str, Any]) -> None:
    assert decode(encode(state)) == state


@given(st.data())
def test_no_truncated_file_is_believed(data: st.DataObject) -> None:
    whole = encode(STATE).rstrip()
    with pytest.raises(CorruptError):
        decode(whole[: data.draw(st.integers(0, len(whole) - 1))])


@given(st.data())
def test_no_changed_byte_changes_what_is_loaded(data: st.DataObject) -> None:
    whole = bytearray(encode(STATE))
    whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    with suppress(CorruptError):
        assert decode(bytes(whole)) == STATE


@pytest.mark.parametrize("content", [b"", b"[]", b"null", b'{"version":1}', b'{"state":[]}', b"[" * 100_000])
def test_other_json_is_not_a_state(content: bytes) -> None:
    with pytest.raises(CorruptError):
        decode(content)


def test_another_versions_file_is_not_read() -> None:
    document = json.loads(encode(STATE)) | {"version": 2}
    with pytest.raises(CorruptError, match="version 2, expected 1"):
        decode(json.dumps(document).encode())


def test_a_saved_state_is_loaded_and_only_the_owner_may_read_it(tmp_path: Path) -> None:
    file = state_file(tmp_path / "deep" / "dir")
    assert file.load() is None
    for state in ({"a": 1}, STATE):
        file.save(state)
        assert file.load() == state
    assert stat.S_IMODE(file.path.stat().st_mode) == 0o600
    assert set(file.path.parent.iterdir()) == {file.path, file.before}


def test_a_damaged_file_is_set_aside_and_reported(tmp_path: Path) -> None:
    file = state_file(tmp_path)
    for n in (1, 2):
        file.path.write_bytes(encode(STATE)[:-20])
        with capture_logs() as logs:
            assert file.load() is None
        aside = tmp_path / f"state.json.corrupt-{n}"
        assert aside.read_bytes() == encode(STATE)[:-20]
        assert [(line["log_level"], line["event"], line["kept"]) for line in logs] == [
            ("warning", "state.corrupt", str(aside))
        ]
    assert file.load() is None
    file.save(STATE)
    assert file.load() == STATE


def test_damaged_files_do_not_pile_up(tmp_path: Path) -> None:
    file = state_file(tmp_path)
    for n in range(12):
        file.path.write_text(f"bad {n}")
        assert file.load() is None
    assert len(list(tmp_path.iterdir())) == 9
    assert (tmp_path / "state.json.corrupt-9").read_text() == "bad 11"


def test_a_disk_that_fills_up_leaves_the_old_state_and_nothing_else(tmp_path: Path) -> None:
    file = state_file(tmp_path)
    file.save(STATE)
    with no_file_longer_than(4096), pytest.raises(StateError, match=rf"^cannot write {file.path}: File too "):
        file.save({"big": "x" * 10_000})
    assert file.load() == STATE
    assert list(tmp_path.iterdir()) == [file.path]


def test_what_a_power_cut_left_is_overwritten(tmp_path: Path) -> None:
    file = state_file(tmp_path)
    (tmp_path / ".state.json.new").write_text("half a st")
    file.save(STATE)
    assert list(tmp_path.iterdir()) == [file.path]
    assert file.load() == STATE


def test_a_place_that_takes_no_files_is_told_with_a_way_out(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    file = state_file(tmp_path / "file" / "deep")
    with pytest.raises(StateError, match=r"Not a directory; keep the state elsewhere"):
        file.save(STATE)


def test_a_state_that_may_not_be_read_is_not_thought_missing(tmp_path: Path) -> None:
    """It ends no start, and is told."""
    (tmp_path / "state.json").mkdir()
    with capture_logs() as logs:
        assert state_file(tmp_path).load() is None
    assert [(line["log_level"], line["event"]) for line in logs] == [("error", "state.unread")]
    assert "cannot read" in logs[0]["error"]


@pytest.mark.parametrize("spoil", ["lost", "empty", "broken", "unreadable"])
def test_the_state_before_the_newest_is_kept_and_read(tmp_path: Path, spoil: str) -> None:
    """When the newest is of no use; and it is still there after the next save."""
    file = state_file(tmp_path)
    file.save({"a": 1})
    file.save(STATE)
    if spoil in {"lost", "unreadable"}:
        file.path.unlink()
    if spoil == "unreadable":
        file.path.mkdir()
    elif spoil != "lost":
        file.path.write_bytes(b"" if spoil == "empty" else encode(STATE)[:-9])
    with capture_logs() as logs:
        assert state_file(tmp_path).load() == {"a": 1}
    assert logs[-1]["event"] == "state.older"
    if spoil != "unreadable":
        file.save(STATE)
        file.path.unlink()
        assert state_file(tmp_path).load() == {"a": 1}


@given(st.recursive(st.none(), lambda inner: st.lists(inner, max_size=1), max_leaves=3))
def test_a_state_of_any_shape_is_a_state_or_damaged(shape: object) -> None:
    """Whatever stands in the file, nothing but the one error comes of it."""
    for text in (
        json.dumps({"version": 1, "sha256": "", "state": {"a": shape}}),
        "[" * 90_000,
        '{"state":{"a":1e999}}',
    ):
        with pytest.raises(CorruptError):
            decode(text.encode())
