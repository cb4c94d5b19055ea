"""Shells can read their completion scripts, and offer what they should."""

import asyncio
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from supervisor.__main__ import main
from supervisor.cli.completion_scripts import SCRIPTS
from tests.bed.engines import REPOSITORY
from tests.harness import Harness, in_thread, short_directory
from tests.pure.story import spec


def test_bash_completes_units_and_runs_nothing_of_their_names() -> None:
    """The function that a person's bash calls, against a supervisor; a name with a command in it stays a name."""

    async def run() -> str:
        with short_directory() as directory:
            here = directory / "dockwarden"
            here.write_text(f'#!/bin/sh\nexec {sys.executable} -m supervisor "$@"\n')
            here.chmod(0o755)
            script = SCRIPTS["bash"] + (
                'ask() { COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _dockwarden; printf "%s\\n" "${COMPREPLY[*]}"; }\n'
                "ask dockwarden restart w\nask dockwarden wait web --for co\nask dockwarden why '$'\n"
                f"ask dockwarden boot --config {directory}/dock\n"
            )
            async with Harness(directory, spec("web"), spec("web two"), spec("$(touch stolen)")):
                environ = {"PATH": f"{directory}:/usr/bin:/bin", "DOCKWARDEN_RUN_DIR": str(directory)}
                environ["PYTHONPATH"] = str(REPOSITORY)
                told = await in_thread(
                    lambda: subprocess.run(
                        ["bash", "-c", script], env=environ, cwd=directory, check=True, capture_output=True, text=True
                    )
                )
            assert told.stderr == ""
            assert not (directory / "stolen").exists()
            assert told.stdout.splitlines()[-1] == str(here)
            return str(told.stdout)

    said = asyncio.run(run()).splitlines()
    assert said[:3] == ["web web\\ two", "completed", "\\$\\(touch\\ stolen\\)"]


@pytest.mark.parametrize("shell", sorted(SCRIPTS))
def test_each_shell_can_read_its_script(shell: str, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """As printed by the command; its syntax is checked where the shell is there."""
    assert main(["completion", shell]) == 0
    said = capsys.readouterr().out
    assert said == SCRIPTS[shell]
    if (program := shutil.which(shell)) is not None:
        (tmp_path / "script").write_text(said)
        subprocess.run([program, "-n", tmp_path / "script"], check=True)


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_the_script_is_the_shell_s_own_language(shell: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It parses; ``script/setup`` installs the shells."""
    assert main(["completion", shell]) == 0
    script = tmp_path / "script"
    script.write_text(capsys.readouterr().out)
    told = subprocess.run([shell, "-n", script], capture_output=True, text=True, check=False)
    assert (told.returncode, told.stderr) == (0, "")
    script.write_text(script.read_text() + "\nif (((\n")
    assert subprocess.run([shell, "-n", script], capture_output=True, check=False).returncode != 0


def test_fish_offers_what_the_program_says(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", "fish"]) == 0
    script, program = tmp_path / "script", tmp_path / "dockwarden"
    script.write_text(capsys.readouterr().out)
    program.write_text(f'#!/bin/sh\ncd {REPOSITORY} && exec {sys.executable} -m supervisor "$@"\n')
    program.chmod(0o755)
    ask = ["fish", "--no-config", "-c", f"source {script}; complete -C 'dockwarden stat'"]
    env = {"PATH": f"{tmp_path}:/usr/bin:/bin", "HOME": str(tmp_path)}
    told = subprocess.run(ask, env=env, capture_output=True, text=True, check=False)
    assert told.stdout.split()[:1] == ["status"], told
