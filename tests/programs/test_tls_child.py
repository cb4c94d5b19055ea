"""Certificates are made in a child: what it is asked and what it answers survive the way."""

import asyncio
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from supervisor.dockerd.tls import isolated
from supervisor.dockerd.tls.folder import opened
from supervisor.dockerd.tls.isolated import materialize_apart
from supervisor.dockerd.tls.settings import (
    TlsError,
    TlsFiles,
    TlsSettings,
    UnusableError,
)
from tests.pure.test_tls_files import holds


def test_a_child_does_the_same(tmp_path: Path) -> None:
    """What is asked of it and what it answers survive the way there and back."""
    settings = TlsSettings(kept=tmp_path / "kept", directory=Path("/tls"), hostnames=("box",))
    files = asyncio.run(materialize_apart(settings, tmp_path))
    assert files == TlsFiles(
        Path("/tls/ca.pem"),
        Path("/tls/server-cert.pem"),
        Path("/tls/server-key.pem"),
        (
            f"{tmp_path}/kept/ca.pem: made",
            f"{tmp_path}/kept/server-cert.pem: made",
            "/tls/server-cert.pem: written",
        ),
    )
    assert holds(tmp_path / "tls", datetime.now(UTC))


def test_a_child_tells_problems(tmp_path: Path) -> None:
    """Those of the configuration apart from those that may be over the next time."""
    with pytest.raises(TlsError) as told:
        asyncio.run(materialize_apart(TlsSettings("x", "y", kept=tmp_path), tmp_path))
    assert not isinstance(told.value, UnusableError)
    assert [problem.partition(";")[0] for problem in told.value.problems] == [
        "rancher.docker.ca_cert: is not PEM text",
        "rancher.docker.ca_key: is not PEM text",
    ]
    (tmp_path / "kept").touch()
    with pytest.raises(UnusableError, match=r"^cannot use .*/kept: Not a directory; choose another directory$"):
        asyncio.run(materialize_apart(TlsSettings(kept=tmp_path / "kept"), tmp_path))


@pytest.mark.parametrize(
    ("program", "said"),
    [
        ("/bin/false", "no certificates: the child process that makes them ended with 1: no output"),
        ("/no/such/python", "cannot run /no/such/python to make the certificates: No such file or directory"),
    ],
)
def test_a_child_that_fails_is_told(program: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", program)
    with pytest.raises(UnusableError) as told:
        asyncio.run(materialize_apart(TlsSettings(kept=tmp_path), tmp_path))
    assert told.value.problems == (said,)


def test_a_child_that_does_not_end_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody holds the directory for too long: user Docker's start fails, and no process is left."""
    monkeypatch.setattr(isolated, "PATIENCE", 0.5)
    with opened(tmp_path), pytest.raises(UnusableError, match=r"^making the certificates timed out after 0\.5 s"):
        asyncio.run(materialize_apart(TlsSettings(kept=tmp_path), tmp_path))


def test_no_other_command_loads_cryptography() -> None:
    """A supervisor carries what it imports for months, and a client must answer at once."""
    program = "import sys; from supervisor.__main__ import parser; parser(sys.argv[1:]); import supervisor.app; "
    found = subprocess.run(
        [sys.executable, "-c", program + "print('cryptography' in sys.modules)", "boot"],
        check=True,
        capture_output=True,
        text=True,
    )
    assert found.stdout == "False\n"
