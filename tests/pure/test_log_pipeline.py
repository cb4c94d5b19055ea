"""A log line is one line, for a program or for a person, and nothing in it forges another one."""

import io
import json
import logging
import re
from collections.abc import Iterator

import pytest
import structlog

from supervisor.logs.libraries import LibraryLog
from supervisor.logs.pipeline import configure_logging


@pytest.fixture(autouse=True)
def _plain_structlog() -> Iterator[None]:
    structlog.reset_defaults()
    yield
    structlog.reset_defaults()


def test_json_lines_are_json_with_an_utc_stamp_first() -> None:
    """One object a line, ASCII only, whatever a name holds."""
    stream = io.StringIO()
    configure_logging("json", "info", stream)
    log = structlog.get_logger()
    log.info("unit.transition", unit="\x1b[31mred\nline", n=1)
    log.debug("order.given")
    text = stream.getvalue()
    assert text.isascii()
    assert text.count("\n") == 1
    told = json.loads(text)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", told.pop("timestamp"))
    assert told == {"level": "info", "event": "unit.transition", "unit": "\x1b[31mred\nline", "n": 1}


def test_console_lines_hold_nothing_that_steers_a_terminal() -> None:
    """A unit's name cannot colour, move or forge a line."""
    stream = io.StringIO()
    configure_logging("console", "debug", stream)
    structlog.get_logger().warning("unit.transition", unit="\x1b[31mred\nline", reason="two words", n=1)
    line = stream.getvalue()
    assert line.endswith('warning unit.transition unit="\\u001b[31mred\\nline" reason="two words" n=1\n')


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("stream", "environ", "colour"),
    [
        (Terminal(), {"TERM": "xterm"}, True),
        (Terminal(), {"TERM": "xterm", "NO_COLOR": "1"}, False),
        (Terminal(), {"TERM": "dumb"}, False),
        (io.StringIO(), {"TERM": "xterm"}, False),
    ],
)
def test_colour_is_for_terminals_and_for_who_wants_it(
    stream: io.StringIO, environ: dict[str, str], *, colour: bool
) -> None:
    """A file with escape sequences in it is hard to search."""
    configure_logging("console", "info", stream, environ)
    structlog.get_logger().error("boot.refused", reason="why")
    assert ("\033[31m" in stream.getvalue()) is colour


def test_a_line_about_a_unit_is_completed() -> None:
    """By what is known of the unit, where the line does not say it itself; other lines stay as they are."""
    stream = io.StringIO()
    pipeline = configure_logging("json", "info", stream)
    pipeline.know({"console": {"cause": "b-1", "incarnation": 3, "seq": 17}}.__getitem__)
    log = structlog.get_logger()
    log.info("leftover.removed", unit="console", cause="b-2")
    log.info("engine.back")
    first, second = map(json.loads, stream.getvalue().splitlines())
    assert (first["cause"], first["incarnation"], first["seq"]) == ("b-2", 3, 17)
    assert set(second) == {"timestamp", "level", "event"}


def test_no_secret_gets_into_a_line() -> None:
    """Whoever said it, and however deep it stands; names and words of ours stay."""
    stream = io.StringIO()
    pipeline = configure_logging("json", "info", stream)
    pipeline.secrets.learn(["open-sesame"])
    log = structlog.get_logger()
    log.warning("order.failed", unit="auth", error="exec: PASSWORD=hunter2", output=["--token abcdef", "open-sesame!"])
    try:
        raise ZeroDivisionError("open-sesame")  # noqa: TRY301 - it is raised to be told of
    except ZeroDivisionError:
        log.exception("it.broke")
    text = stream.getvalue()
    assert not [word for word in ("hunter2", "abcdef", "open-sesame") if word in text]
    assert json.loads(text.splitlines()[0])["unit"] == "auth"


def test_an_exception_is_told_with_its_trace() -> None:
    """In both formats."""
    for form in ("json", "console"):
        stream = io.StringIO()
        configure_logging(form, "info", stream)
        try:
            raise ZeroDivisionError("nought")  # noqa: TRY301 - it is raised to be told of
        except ZeroDivisionError:
            structlog.get_logger().exception("it.broke")
        assert "ZeroDivisionError: nought" in stream.getvalue()


def test_a_log_that_cannot_be_written_stops_nothing() -> None:
    """A full disk or a reader that went away costs the line."""
    stream = io.StringIO()
    configure_logging("json", "info", stream)
    log = structlog.get_logger()
    stream.close()
    log.info("engine.back")


def test_an_unknown_format_or_level_is_refused() -> None:
    """Before anything is logged in a way that nobody asked for."""
    for form, level in (("yaml", "info"), ("json", "loud")):
        with pytest.raises(ValueError, match="no such"):
            configure_logging(form, level)


def test_a_library_s_own_words_are_one_line_a_minute() -> None:
    """Whatever a client makes aiohttp say, without a traceback, and with the number of what was left out."""
    stream, now = io.StringIO(), 0.0
    configure_logging("json", "info", stream)
    root = logging.getLogger()
    (ours,) = [handler for handler in root.handlers if isinstance(handler, LibraryLog)]
    root.removeHandler(ours)
    mine = LibraryLog(lambda: now)
    root.addHandler(mine)
    try:
        for _ in range(112):
            error = ValueError("x" * 5000)
            logging.getLogger("aiohttp.server").error("Error handling %s", "request", exc_info=error)
        now = 61.0
        logging.getLogger("aiohttp.server").error("again %d", "no number")
    finally:
        root.removeHandler(mine)
    first, second = (json.loads(line) for line in stream.getvalue().splitlines())
    assert (first["event"], first["logger"], first["left_out"]) == ("library.said", "aiohttp.server", 0)
    assert first["message"].startswith("Error handling request: ValueError: xxx")
    assert len(first["message"]) < 400
    assert "exception" not in first
    assert (second["message"], second["left_out"]) == ("again %d", 111)


@pytest.mark.parametrize("stream", [Terminal(), io.StringIO()])
def test_people_are_at_terminals(stream: io.StringIO) -> None:
    configure_logging("auto", "info", stream, {})
    structlog.get_logger().info("told", unit="web")
    assert "told" in stream.getvalue()
    assert stream.getvalue().startswith("{") is not stream.isatty()
