"""The client asks, shows what people can read and terminals can bear, and its exit code says how it went."""

import argparse
import asyncio
import io
import json
import os
import re
import shlex
import socket
import sys
import threading
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from supervisor.cli import main
from supervisor.cli.commands import parser
from supervisor.cli.parser import Parser, commands_of
from supervisor.http import client
from supervisor.preflight import Exit
from supervisor.version import VERSION
from supervisor.views.text import Screen, clean_output, clock, lasted, show_event, since, table
from tests.bed.engines import REPOSITORY
from tests.harness import Harness, ObedientEngine, in_thread, short_directory, until
from tests.pure.story import needs, spec
from units.quantities import Seconds
from units.spec import Kind, Policy, RestartPolicy, UnitName, UnitSpec

HOSTILE = "\x1b]0;owned\x07\x1b[2Jweb\r\n\u202e"


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def run_dir() -> Iterator[Path]:
    with short_directory() as path:
        yield path


def call(run_dir: Path, *words: str) -> int:
    return main.run(parser().parse_args(["--run-dir", str(run_dir), *words]))


class Stage:
    """Runs commands against a host, and reads what they printed."""

    def __init__(self, harness: Harness, capsys: pytest.CaptureFixture[str]) -> None:
        self.harness = harness
        self._capsys = capsys

    async def __call__(self, *words: str) -> tuple[int, str, str]:
        code = await in_thread(lambda: call(self.harness.run_dir, *words))
        said = self._capsys.readouterr()
        return code, said.out, said.err


Play = Callable[..., None]


@pytest.fixture
def play(run_dir: Path, capsys: pytest.CaptureFixture[str]) -> Play:
    def perform(
        scene: Callable[[Stage], Awaitable[None]], *specs: UnitSpec, engine: type[ObedientEngine] = ObedientEngine
    ) -> None:
        async def run() -> None:
            async with asyncio.timeout(20), Harness(run_dir, *specs, engine=engine()) as harness:
                await scene(Stage(harness, capsys))

        asyncio.run(run())

    return perform


def test_status_shows_engine_supervisor_and_units(play: Play) -> None:
    """One table, one line a unit."""

    async def scene(run: Stage) -> None:
        code, out, err = await run("status")
        assert (code, err) == (0, "")
        lines = out.splitlines()
        assert lines[0] == "engine      up, attached, 26.1.5, unix:///fake: serving"
        assert re.fullmatch(rf"supervisor  {VERSION}, pid \d+, for \d s", lines[1])
        assert lines[2] == "units       2 of 2 ready or completed"
        assert lines[4].split() == ["UNIT", "KIND", "STATE", "HEALTH", "RESTARTS", "SINCE", "REASON"]
        assert [line.split()[:5] for line in lines[5:]] == [
            ["db", "service", "ready", "-", "0"],
            ["web", "service", "ready", "-", "0"],
        ]
        assert "\x1b" not in out

    play(scene, spec("web", needs("db")), spec("db"))


def test_json_is_what_the_supervisor_said(play: Play) -> None:
    """Status, units, why, events, logs, version and verbs, each for programs."""

    async def scene(run: Stage) -> None:
        status = json.loads((await run("status", "--json"))[1])
        assert list(status) == ["engine", "console", "storage", "user_docker", "switch", "units", "supervisor"]
        assert json.loads((await run("units", "--json"))[1]) == status["units"]
        assert json.loads((await run("why", "web", "--json"))[1])["unit"] == status["units"][0]
        events = [json.loads(line) for line in (await run("events", "--json"))[1].splitlines()]
        assert events[-1]["after"] == "ready"
        logs = [
            json.loads(line) for line in (await run("logs", "web", "--json", "--raw", "--tail", "1"))[1].splitlines()
        ]
        assert [(line["unit"], line["stream"], line["text"]) for line in logs] == [("web", "stdout", "three")]
        version = json.loads((await run("version", "--json"))[1])
        assert version["client"] == VERSION
        assert version["supervisor"]["version"] == VERSION
        done = json.loads((await run("restart", "web", "--json"))[1])
        assert done["web"]["ok"] is True
        code, out, err = await run("restart", "web", "nope", "--json")
        assert (code, err) == (4, "")
        assert json.loads(out)["nope"]["error"] == "there is no unit 'nope'"

    play(scene, spec("web"))


def test_verbs_wait_and_say_what_came_of_it(play: Play) -> None:
    """Exit code 0, and a line a unit."""

    async def scene(run: Stage) -> None:
        assert (await run("stop", "web", "db"))[:2] == (
            0,
            "web: inactive, stopped (by user)\ndb: inactive, stopped (by user)\n",
        )
        code, out, _ = await run("start", "web", "db", "web")
        assert (code, out.count("\n")) == (0, 2)
        assert run.harness.phase("web") == run.harness.phase("db") == "ready"

    play(scene, spec("web", needs("db")), spec("db"))


def test_a_unit_that_does_not_come_up_is_exit_code_1(play: Play) -> None:
    """With its state, its reason, and where to look further."""

    async def scene(run: Stage) -> None:
        run.harness.engine.sicken_at_start("job")
        code, out, err = await run("restart", "job", "web")
        assert code == 1
        assert out.startswith("web: ready, ")
        assert err.startswith("dockwarden: restart job: it is failed: ")
        assert err.endswith("; see 'dockwarden why job'\n")
        run.harness.engine.ignore_term("web")
        code, _, err = await run("stop", "web", "--timeout", "0.05")
        assert code == 1
        assert "it is stopping (not settled within 0.05 s)" in err

    play(scene, spec("job", kind=Kind.ONESHOT, policy=Policy.NO), spec("web"))


def test_no_wait_only_asks(play: Play) -> None:
    """Exit code 0 as soon as the wish is accepted."""

    async def scene(run: Stage) -> None:
        run.harness.engine.ignore_term("web")
        code, out, _ = await run("stop", "--no-wait", "web")
        assert code == 0
        assert out.startswith("web: stopping")

    play(scene, spec("web"))


def test_reset_failed_tries_again(play: Play) -> None:
    """A unit in a crash loop is started at once."""

    async def scene(run: Stage) -> None:
        run.harness.engine.sicken_at_start("job")
        await run("restart", "job")
        run.harness.engine.obey("job")
        assert (await run("reset-failed", "job"))[0] == 0
        await run.harness.quiet()
        assert run.harness.phase("job") == "running"

    play(scene, spec("job", kind=Kind.ONESHOT, policy=Policy.NO))


def test_an_unknown_unit_is_exit_code_4_with_a_guess(play: Play) -> None:
    """A name that is close is offered; when none is, those there are."""

    async def scene(run: Stage) -> None:
        for words in (("why", "consol"), ("logs", "consol"), ("start", "consol"), ("stop", "--no-wait", "consol")):
            assert await run(*words) == (
                4,
                "",
                "dockwarden: there is no unit 'consol'; did you mean 'console'?\n",
            )
        assert (await run("why", "zzz"))[2] == "dockwarden: there is no unit 'zzz'; there are: console, syslog\n"
        assert (await run("events", "--unit", "consol"))[0] == 4

    play(scene, spec("console"), spec("syslog"))


def test_a_refusal_is_exit_code_1(play: Play) -> None:
    """With what the supervisor said, and its hint."""

    async def scene(run: Stage) -> None:
        run.harness.engine.ignore_term("web")
        run.harness.host.shut_down("test")
        assert await run("start", "web") == (
            1,
            "",
            "dockwarden: the host goes down; see 'dockwarden why web'\n",
        )

    play(scene, spec("web"))


def test_no_supervisor_is_exit_code_3(run_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The message names the socket and the way out; `version` answers all the same."""
    for words in (["status"], ["units"], ["why", "x"], ["events"], ["logs", "x"], ["start", "x", "y"]):
        assert call(run_dir, *words) == 3
        told = f"no supervisor answers on {run_dir}/control.sock: No such file or directory; start one with 'dockwarden"
        assert told in capsys.readouterr().err
    assert call(run_dir, "version") == 0
    assert f"dockwarden {VERSION}\nno supervisor answers" in capsys.readouterr().out
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(run_dir / "control.sock"))
    assert call(run_dir, "status") == 3
    assert "Connection refused; start one" in capsys.readouterr().err


def test_no_permission_is_told_as_such() -> None:
    """It is not the same as no supervisor."""
    told = client.no_answer(Path("/run/dockwarden/control.sock"), PermissionError(13, "Permission denied"))
    assert told == "permission denied on /run/dockwarden/control.sock: run as root (sudo dockwarden ...)"


def test_nonsense_on_the_socket_is_no_answer(run_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Somebody else's server, or a broken one, is exit code 3 and no traceback."""

    def serve(listener: socket.socket) -> None:
        for answer in (b"", b"SSH-2.0-x\r\n", b"HTTP/1.1 200 OK\r\n\r\nnot json", b"HTTP/1.1 500 Oh\r\n\r\n\xff"):
            connection, _ = listener.accept()
            with connection:
                connection.recv(4096)
                connection.sendall(answer)

    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(run_dir / "control.sock"))
        listener.listen()
        thread = threading.Thread(target=serve, args=(listener,))
        thread.start()
        codes = [call(run_dir, "status") for _ in range(4)]
        thread.join()
    assert codes == [3, 3, 3, 1]
    assert capsys.readouterr().err.count("\n") == 4


def test_a_supervisor_that_hangs_is_told(
    run_dir: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """After some seconds, not never."""
    monkeypatch.setattr(client, "PATIENCE", 0.05)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(run_dir / "control.sock"))
        listener.listen()
        assert call(run_dir, "status") == 3
    assert "does not answer within 0.05 s" in capsys.readouterr().err


BYTES = "\udcff"
"""What a shell's $'\\xff' becomes."""


@pytest.mark.parametrize(
    "words",
    [
        *(["stop", BYTES], ["start", "--no-wait", BYTES], ["restart", BYTES, "web"], ["reset-failed", BYTES]),
        *(["why", BYTES], ["wait", BYTES], ["logs", BYTES], ["events", "--unit", BYTES], ["hooks", "enable", BYTES]),
        *(["console", "enable", BYTES], ["hooks", "test", BYTES], ["hooks", "test", "unit.restarted", "--unit", BYTES]),
    ],
    ids=lambda words: " ".join(words[:2]).replace(BYTES, "BYTES"),
)
@pytest.mark.parametrize("as_json", [False, True])
def test_a_name_of_bytes_is_told_in_words(play: Play, words: list[str], as_json: bool) -> None:
    async def scene(run: Stage) -> None:
        code, out, err = await run(*words, *(["--json"] if as_json else []))
        assert code != 0 or "hooks" in words
        assert out or err
        (out + err).encode()
        assert "Traceback" not in out + err

    play(scene, spec("web"))


@pytest.mark.parametrize(
    "words",
    [
        ["start"],
        ["logs", "x", "--tail", "-1"],
        ["logs", "--since", "yesterday"],
        ["logs", "--grep", "("],
        ["logs", "--level", "loud"],
        ["stop", "x", "--timeout", "0"],
        ["stop", "x", "--timeout", "x"],
    ],
)
def test_wrong_usage_is_exit_code_2(words: list[str], run_dir: Path) -> None:
    """Told before anybody is asked."""
    with pytest.raises(SystemExit) as ended:
        call(run_dir, *words)
    assert ended.value.code == 2


def test_the_run_directory_may_stand_behind_the_command(run_dir: Path) -> None:
    """`dockwarden status --run-dir DIR` is what people type."""
    assert parser().parse_args(["status", "--run-dir", str(run_dir)]).run_dir == run_dir


def test_why_tells_the_story(play: Play) -> None:
    """State, reason, meaning, what comes next, and the chain of facts that led there."""

    async def scene(run: Stage) -> None:
        box = run.harness.world.units[UnitName("web")].container
        assert box is not None
        for _ in range(2):
            run.harness.engine.crash("web", 137)
            await run.harness.quiet()
        code, out, _ = await run("why", "web")
        assert code == 0
        assert re.search(r"^web is backoff since [\d:.]+ \(\d s\)$", out, re.MULTILINE)
        assert re.search(r"^  because  .*137", out, re.MULTILINE)
        flat = " ".join(out.split())
        assert "next restarted when its delay is over; at once with `dockwarden start web`" in flat
        assert "(next try in" in flat
        assert re.search(rf"^  facts    \d restarts?, last exit code 137, container {box[:12]}$", out, re.MULTILINE)
        assert re.search(r"died \(exit code 137\) \[engine \d{4}-\d\d-\d\d [\d:.]+\]", flat)
        assert re.search(r"^ {14}decided restart.backoff: restart in 30 s$", out, re.MULTILINE)
        assert "exit code 137; failure 2 in a row; 1 restart in 60 s (limit 5); delay 30 s" in flat
        assert re.search(r"^ {14}ready -> backoff: .*137", out, re.MULTILINE)
        assert max(map(len, out.splitlines())) <= 80

    play(scene, replace(spec("web"), restart=RestartPolicy(Policy.ALWAYS, delay=Seconds(30))))


def test_why_draws_its_story_into_a_file(play: Play, tmp_path: Path) -> None:
    """A picture that needs nothing else; a file that cannot be written is exit code 1."""

    async def scene(run: Stage) -> None:
        picture = tmp_path / "web.svg"
        assert await run("why", "web", "--svg", str(picture)) == (0, "", "")
        assert picture.read_text().startswith("<svg ")
        assert (await run("why", "web", "--svg", "-"))[1].startswith("<svg ")
        code, _, err = await run("why", "web", "--svg", str(tmp_path / "no" / "such"))
        assert (code, err) == (1, "dockwarden: cannot write the answer: No such file or directory\n")
        code, _, err = await run("why", "web", "--since", "soon")
        told = "dockwarden: since: 'soon' is not a time"
        assert (code, err.split(";")[0]) == (1, told)
        for moment, shown in (("10m", True), ("2001-02-03", True), ("2100-01-01 12:00", False)):
            code, out, _ = await run("why", "web", "--since", moment)
            assert (code, "What happened, oldest first" in out) == (0, shown)

    play(scene, spec("web"))


def test_events_are_one_line_each(play: Play) -> None:
    """Time, unit, what happened, why."""

    async def scene(run: Stage) -> None:
        code, out, _ = await run("events", "--tail", "2")
        assert code == 0
        lines = out.splitlines()
        assert len(lines) == 2
        assert re.match(r"[\d:.]+  web               starting -> ready: ", lines[1])
        assert "engine.back" in (await run("events"))[1]
        await run("stop", "web")
        stopping, *_ = [line for line in (await run("events"))[1].splitlines() if "-> stopping" in line]
        assert stopping.endswith(f" (uid {os.getuid()})")

    play(scene, spec("web"))


def test_following_ends_with_the_supervisor(play: Play) -> None:
    """`events -f` shows what comes, and exits with 0 when the supervisor ends in order."""

    async def scene(run: Stage) -> None:
        following = asyncio.create_task(run("events", "-f"))
        await until(lambda: run.harness.journal._followers)
        await run.harness.end()
        code, out, _ = await following
        assert code == 0
        assert "starting -> ready" in out

    play(scene, spec("web"))


def test_logs_are_printed_as_they_were_written(play: Play) -> None:
    """To a pipe: byte by byte, colours and all."""

    class Colourful(ObedientEngine):
        output = ("\x1b[31mred\x1b[0m", "gr\u00fcn")

    async def scene(run: Stage) -> None:
        assert (await run("logs", "web", "--raw"))[:2] == (0, "\x1b[31mred\x1b[0m\ngr\u00fcn\n")

    play(scene, spec("web"), engine=Colourful)


def test_names_cannot_steer_a_terminal(play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    """Escapes, bells, line ends and right-to-left marks of a name are replaced, wherever it is shown."""

    async def scene(run: Stage) -> None:
        for words in (("status",), ("units",), ("why", HOSTILE), ("events",), ("stop", HOSTILE)):
            terminal = Terminal()
            monkeypatch.setattr(sys, "stdout", terminal)
            code = await in_thread(partial(call, run.harness.run_dir, *words))
            monkeypatch.undo()
            bare = re.sub(r"\x1b\[\d+m", "", terminal.getvalue())
            assert code == 0
            assert all(char.isprintable() or char == "\n" for char in bare), bare
            assert "?]0;owned??[2Jweb? ?" in bare

    play(scene, spec(HOSTILE))


def screen(width: int = 60, **environ: str) -> Screen:
    made = Screen(Terminal(), environ)
    made.width = width
    return made


def test_colour_is_for_terminals_that_want_it() -> None:
    """Not for pipes, not with NO_COLOR, not on a dumb terminal."""
    assert screen().paint("x", "31") == "\033[31mx\033[0m"
    assert screen(NO_COLOR="1").paint("x", "31") == "x"
    assert screen(TERM="dumb").paint("x", "31") == "x"
    assert Screen(io.StringIO(), {}).paint("x", "31") == "x"


def test_a_table_fits_the_terminal() -> None:
    """The last column gives way; for a pipe nothing is cut."""
    rows = [("web", "r" * 200), ("n" * 90, "short")]
    narrow = screen(60, NO_COLOR="1")
    table(narrow, ("UNIT", "REASON"), rows)
    assert isinstance(narrow.stream, Terminal)
    lines = narrow.stream.getvalue().splitlines()
    assert max(map(len, lines)) <= 60
    assert lines[1].endswith("...")
    piped = io.StringIO()
    table(Screen(piped, {}), ("UNIT", "REASON"), rows)
    assert "r" * 200 in piped.getvalue()
    assert "n" * 90 in piped.getvalue()


def test_output_on_a_terminal_keeps_its_colours_and_nothing_else() -> None:
    """A container may colour its lines; it may not move the cursor, ring, or set the title."""
    text = "\x1b[1;31mred\x1b[0m\x1b[2J\x1b]0;title\x07\tend\r"
    assert clean_output(text, screen()) == "\x1b[1;31mred\x1b[0m?[2J?]0;title?        end\x1b[0m"
    assert clean_output(text, screen(NO_COLOR="1")) == "red?[2J?]0;title?        end"
    assert clean_output(text, Screen(io.StringIO(), {})) == text


def test_spans_and_times_are_short() -> None:
    """Two units at most; nonsense is a dash."""
    spans = [0, 59.9, 60, 200, 3600, 3661, 90000, -5]
    assert [lasted(span) for span in spans] == [
        "0 s",
        "59 s",
        "60 s",
        "3 min 20 s",
        "1 h",
        "1 h 1 min",
        "1 d 1 h",
        "0 s",
    ]
    assert since("1970-01-01T00:00:10.000Z", 70) == "60 s"
    assert since(None) == clock(None) == since("soon") == "-"


def test_a_dropped_marker_is_told() -> None:
    """A reader that was too slow sees that it was."""
    shown = screen(NO_COLOR="1")
    show_event(shown, {"event": "dropped", "count": 7})
    assert isinstance(shown.stream, Terminal)
    assert shown.stream.getvalue() == "... 7 records were dropped: this client reads too slowly\n"


def test_what_an_encoding_cannot_say_is_replaced() -> None:
    """A C locale is no reason for a traceback."""
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii")
    shown = Screen(stream, {})
    shown.line("gr\u00fcn")
    shown.flush()
    assert raw.getvalue() == b"gr?n\n"


def every_command(
    top: argparse.ArgumentParser, path: str = "dockwarden"
) -> Iterator[tuple[str, argparse.ArgumentParser]]:
    """All of them, with those below them."""
    below = commands_of(top)
    for name, command in ({} if below is None else below.choices).items():
        yield f"{path} {name}", command
        yield from every_command(command, f"{path} {name}")


def test_every_command_has_json_help_and_an_example() -> None:
    """And each says what it does in a line, and each of its options what it means."""
    top = argparse.ArgumentParser()
    main.add_commands(top.add_subparsers(dest="command", parser_class=Parser))
    asking = {path.split()[1] for path, _ in every_command(top)}
    assert asking == set(main._COMMANDS)
    for path, command in every_command(parser()):
        text = command.format_help()
        assert "example:\n  " in text, path
        assert f"dockwarden {path.split()[1]}" in text.partition("example:")[2], path
        assert commands_of(command) or "--json" in text or path.split()[1] in {"boot", "watch", "completion"}, path
        options = [action for action in command._actions if action.option_strings]
        assert [action.dest for action in options if not action.help] == [], path


def test_each_example_is_one_that_can_be_typed() -> None:
    """Of every help: the parser takes it, for the command whose help it is."""
    for path, command in every_command(parser()):
        told = (command.epilog or "").partition("example:\n")[2]
        examples = re.findall(r"(?:^|\$\()\s*dockwarden ([^)\n]*)", told, re.MULTILINE)
        assert examples, path
        for example in examples:
            words = shlex.split(example)
            assert parser(words).meant(parser(words).parse_args(words)).prog.startswith(command.prog), example


def test_the_exit_codes_are_those_of_the_reference() -> None:
    """Each code that the program ends with is in the table, and none that it does not."""
    table = (REPOSITORY / "docs/reference/cli.md").read_text().partition("## Exit codes")[2]
    told = {int(code) for code in re.findall(r"^\| (\d+) \|", table, re.MULTILINE)}
    asking = {main.OK, main.FAILED, main.USAGE, main.UNREACHABLE, main.UNKNOWN, main.INTERRUPTED}
    assert told == asking | {code for name, code in vars(Exit).items() if name.isupper()}


def test_the_reference_names_every_option() -> None:
    """Of every command, long and short."""
    page = (REPOSITORY / "docs/reference/cli.md").read_text()
    commands = next(action.choices for action in parser()._actions if action.dest == "command")
    assert commands is not None
    missing = [
        (name, option)
        for name, command in dict(commands).items()
        for action in command._actions
        for option in action.option_strings
        if option not in page and option != "-h"
    ]
    assert missing == []
    assert [name for name in commands if f"`{name}" not in page and f"dockwarden {name}" not in page] == []
