"""A shell offers what may come next, and nothing that a name could do to it."""

import asyncio
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from hooks.presence import HostHooks
from supervisor.__main__ import main
from supervisor.cli.commands import parser
from supervisor.cli.completion import FILES, complete
from supervisor.cli.completion_scripts import SCRIPTS
from tests.bed.engines import REPOSITORY
from tests.pure.desk import SILENT, Desk, in_thread, short_directory
from tests.pure.story import spec

KNOWN = {
    "UNIT": [("web", "ready"), ("web-db", "failed"), ("cron", "ready")],
    "console NAME": [("default", "ready"), ("debian", "available")],
    "EVENT": [("unit.restarted", "")],
}


def offered(line: str) -> list[str]:
    """Words for the last one of the line; ``|`` marks where it begins when it is empty."""
    words = line.removesuffix("|").split(" ")
    return [one.partition("\t")[0] for one in complete(parser(), words, lambda metavar: KNOWN.get(metavar, []))]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("sta", ["status", "start"]),
        ("restart w", ["web", "web-db"]),
        ("restart web cr", ["cron"]),
        ("restart --no", ["--no-wait"]),
        ("restart --timeout ", []),
        ("why ", ["web", "web-db", "cron"]),
        ("why web ", []),
        ("wait web --for he", ["healthy"]),
        ("wait --for=ready w", ["web", "web-db"]),
        ("events --unit c", ["cron"]),
        ("events -f --js", ["--json"]),
        ("console sw", ["switch"]),
        ("console switch d", ["default", "debian"]),
        ("hooks test u", ["unit.restarted"]),
        ("completion z", ["zsh"]),
        ("--run-dir /x status --js", ["--json"]),
        ("--run-dir ", [FILES]),
        ("boot --config ", [FILES]),
        ("config validate ", [FILES]),
        ("boot --log-format j", ["json"]),
        ("nonsense w", []),
    ],
)
def test_what_may_come_next(line: str, words: list[str]) -> None:
    """Commands, options, values, and names where names belong."""
    assert offered(line) == words


def test_each_word_says_what_it_means() -> None:
    """For the shells that show it."""
    assert complete(parser(), ["restart", "cr"], lambda _: KNOWN["UNIT"]) == ["cron\tready"]
    assert complete(parser(), ["wait", "--time"], lambda _: []) == ["--timeout\tlongest wait"]


def test_a_name_that_steers_a_terminal_is_not_offered() -> None:
    """It could not be typed either."""
    assert complete(parser(), ["why", ""], lambda _: [("a\x1b[2J", ""), ("ok", "")]) == ["ok\t"]


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
            async with Desk(directory, spec("web"), spec("web two"), spec("$(touch stolen)")) as desk:
                await desk.boot()
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


def test_without_a_supervisor_there_are_no_names(capsys: pytest.CaptureFixture[str]) -> None:
    """And no complaint in the middle of a line."""
    with short_directory() as nobody:
        for words in (["why", ""], ["console", "switch", ""], ["engine", "switch", ""]):
            assert main(["__complete", "--run-dir", str(nobody), *words]) == 0
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("statsu", "dockwarden: argument COMMAND: there is no 'statsu'; did you mean 'status'"),
        ("status --jsno", "dockwarden status: what is --jsno?; did you mean '--json'?"),
        ("wait web --for redy", "argument --for: there is no 'redy'; did you mean 'ready'"),
        ("console swich x", "dockwarden console: argument VERB: there is no 'swich'; did you mean 'switch'?"),
        ("xyzzy", "there is no 'xyzzy'; there are: "),
        ("units a b", "dockwarden units: what is a b?\nusage: dockwarden units"),
        ("why", "dockwarden why: the following arguments are required: UNIT\nusage: dockwarden why"),
    ],
)
def test_what_was_mistyped_is_guessed(line: str, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Commands, verbs, options and values; the exit code is that of wrong usage."""
    with pytest.raises(SystemExit) as ended:
        main(line.split())
    assert ended.value.code == 2
    told = capsys.readouterr().err
    assert said in told
    assert told.rstrip().endswith("--help")


def test_the_overview_shows_each_command_once() -> None:
    """In its group."""
    text = parser().format_help()
    commands = next(action.choices for action in parser()._actions if action.dest == "command")
    assert commands is not None
    for name in commands:
        assert sum(line.startswith(f"  {name} ") for line in text.splitlines()) == 1, name
    assert "to look:\n  status " in text


def test_hooks_are_completed_by_their_names(capsys: pytest.CaptureFixture[str]) -> None:
    """As the supervisor lists them, with how they are."""

    class Listed:
        def listed(self) -> list[dict[str, str]]:
            return [{"name": "10-tell", "state": "ready"}, {"name": "20-page", "state": "resting"}]

    async def run() -> int:
        with short_directory() as directory:
            async with Desk(directory) as desk:
                desk.hooks = Listed()  # type: ignore[assignment]
                words = ["__complete", "--run-dir", str(directory), "hooks", "disable", "2"]
                return int(await in_thread(lambda: main(words)))

    assert asyncio.run(run()) == 0
    assert capsys.readouterr().out == "20-page\tresting\n"


def test_a_mistyped_event_is_guessed(capsys: pytest.CaptureFixture[str]) -> None:
    """From what the supervisor knows, and not from the units."""

    async def run() -> int:
        with short_directory() as directory:
            async with Desk(directory, spec("unit")) as desk:
                desk.hooks = HostHooks(directory / "hooks.d", lambda *_: None, SILENT, time.time, directory / "off")
                words = ["--run-dir", str(directory), "hooks", "test", "unit.restartd"]
                return int(await in_thread(lambda: main(words)))

    assert asyncio.run(run()) == 4
    assert "there is no event 'unit.restartd'; did you mean 'unit.restarted'" in capsys.readouterr().err


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
