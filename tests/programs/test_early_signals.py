"""A reload that is asked for while the supervisor starts is carried out when it can be, and does not end the start."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from supervisor.child import ROOT
from tests.chaos.processes import Process, takes

PATIENCE = 60.0
CONFIG = "#cloud-config\nrancher:\n  services: {}\n"


def test_a_reload_during_the_start_is_done_after_it(tmp_path: Path) -> None:
    """Sent as soon as it is survived: before the supervisor's modules are loaded, when it used to be deadly."""
    config = tmp_path / "config.yml"
    config.write_text(CONFIG)
    command = [sys.executable, "-X", "importtime", "-m", "supervisor", "boot", "--config", str(config)]
    command += ["--engine", f"unix://{tmp_path}/none.sock", "--run-dir", str(tmp_path / "run")]
    command += ["--state-dir", str(tmp_path / "state"), "--log-format", "json"]
    loads = tmp_path / "loads.txt"
    with (
        loads.open("w") as told,
        subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=told, text=True) as one,
    ):
        try:
            until = time.monotonic() + PATIENCE
            while not takes(Process(one.pid, ()), signal.SIGHUP):
                assert one.poll() is None
                assert time.monotonic() < until
            assert "supervisor.app" not in loads.read_text()
            os.kill(one.pid, signal.SIGHUP)
            assert one.stdout is not None
            for line in one.stdout:
                if json.loads(line)["event"] == "config.read":
                    break
            else:
                pytest.fail(f"it ended with {one.wait()}")
        finally:
            one.kill()
