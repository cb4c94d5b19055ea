"""A log line is one line, for a program or for a person, and nothing in it forges another one."""

import io
import json
import re
from collections.abc import Iterator

import pytest
import structlog

from supervisor.log_pipeline import configure_logging
from tests.bed.engines import REPOSITORY


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


def test_the_log_s_reference_names_every_event() -> None:
    """No line is written whose name the page does not explain, and none is explained that is never written."""
    modules = [*(REPOSITORY / "supervisor").glob("*.py"), *(REPOSITORY / "hooks").glob("*.py")]
    sources = "".join(path.read_text() for path in modules)
    written = set(re.findall(r"(?:log\.\w+|say|_tell)\(\s*\"([a-z_]+\.[a-z_-]+)\"", sources))
    page = (REPOSITORY / "docs/reference/log.md").read_text().partition("## Events of units")[2]
    assert set(re.findall(r"`([a-z_]+\.[a-z_-]+)`", page)) == written
