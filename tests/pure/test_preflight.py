"""A host comes up whatever becomes of its state directory; what cannot be kept is said."""

from pathlib import Path

import pytest

from supervisor import preflight
from supervisor.preflight import BootError, Exit, open_state
from tests.pure.test_state import no_file_longer_than


def test_a_directory_that_takes_files_is_no_trouble(tmp_path: Path) -> None:
    """It is made, for its owner only, and the probe is gone."""
    state = tmp_path / "deep" / "state"
    assert open_state(state) == ""
    assert list(state.iterdir()) == []
    assert state.stat().st_mode & 0o777 == 0o700


def test_a_full_directory_is_a_trouble_and_no_end(tmp_path: Path) -> None:
    """The sentence names the directory, the reason, and what follows."""
    with no_file_longer_than(100):
        said = open_state(tmp_path)
    assert said.startswith(f"cannot keep anything in {tmp_path}: File too large; ")
    assert "--state-dir" in said
    assert "nothing that happens is remembered over a restart" in said
    assert list(tmp_path.iterdir()) == []


def test_a_mistyped_directory_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that is not there and cannot be made; the usual one, which nobody typed, is no reason to stay down."""
    (tmp_path / "file").touch()
    for mistyped in (tmp_path / "file" / "state", tmp_path / "file"):
        with pytest.raises(BootError, match="--state-dir") as refused:
            open_state(mistyped)
        assert refused.value.code == Exit.STATE
    monkeypatch.setattr(preflight, "STATE_DIR", tmp_path / "file" / "state")
    assert "Not a directory" in open_state(tmp_path / "file" / "state")


def test_a_link_in_place_of_the_probe_is_not_followed(tmp_path: Path) -> None:
    """Whoever may write there must not choose what root overwrites."""
    victim = tmp_path / "victim"
    victim.write_text("precious")
    (tmp_path / ".probe").symlink_to(victim)
    assert open_state(tmp_path) == ""
    assert victim.read_text() == "precious"
