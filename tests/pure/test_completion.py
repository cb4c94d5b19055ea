"""A shell offers what may come next, and nothing that a name could do to it."""

import asyncio

import pytest

from supervisor.__main__ import main
from supervisor.cli.commands import parser
from supervisor.cli.completion import FILES, complete
from tests.harness import Harness, in_thread, short_directory
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
        ("status --jsno", "dockwarden status: unknown argument: --jsno; did you mean '--json'?"),
        ("wait web --for redy", "argument --for: there is no 'redy'; did you mean 'ready'"),
        ("console swich x", "dockwarden console: argument VERB: there is no 'swich'; did you mean 'switch'?"),
        ("xyzzy", "there is no 'xyzzy'; there are: "),
        ("units a b", "dockwarden units: unknown argument: a b\nusage: dockwarden units"),
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
    assert "show:\n  status " in text


def test_hooks_are_completed_by_their_names(capsys: pytest.CaptureFixture[str]) -> None:
    """As the supervisor lists them, with how they are."""

    async def run() -> int:
        with short_directory() as directory:
            async with Harness(directory) as harness:
                hooks = harness.machine.state_dir / "hooks.d"
                hooks.mkdir()
                for name in ("10-tell", "20-page"):
                    (hooks / name).symlink_to("/bin/true")
                harness.host.hooks.reload()
                harness.host.hooks.switch("20-page", on=False)
                words = ["__complete", "--run-dir", str(directory), "hooks", "disable", "2"]
                return int(await in_thread(lambda: main(words)))

    assert asyncio.run(run()) == 0
    assert capsys.readouterr().out == "20-page\toff\n"


def test_a_mistyped_event_is_guessed(capsys: pytest.CaptureFixture[str]) -> None:
    """From what the supervisor knows, and not from the units."""

    async def run() -> int:
        with short_directory() as directory:
            async with Harness(directory, spec("unit")):
                words = ["--run-dir", str(directory), "hooks", "test", "unit.restartd"]
                return int(await in_thread(lambda: main(words)))

    assert asyncio.run(run()) == 4
    assert "there is no event 'unit.restartd'; did you mean 'unit.restarted'" in capsys.readouterr().err
