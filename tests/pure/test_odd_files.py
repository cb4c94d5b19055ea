"""Files of ours that somebody else wrote: whole, with a right checksum, and of any content. None ends a start."""

import asyncio
import hashlib
import json
import zlib
from typing import Any

import pytest
import structlog

from supervisor.journal import record_file
from supervisor.journal.record import Record
from supervisor.state.choices import Choices
from supervisor.state.file import CorruptError, decode
from supervisor.state.replacements import unfinished
from supervisor.state.writer import BootId, read
from tests.pure.story import spec
from units import links
from units.memory import Clocks, recall, remember
from units.quantities import Instant, Seconds
from units.restart import Death, decide
from units.spec import Switchable
from units.unit import Unit
from units.world import World, fresh_unit, new_world

ODD: tuple[Any, ...] = (
    None, True, -1, 10**400, 1.5, 1e300, -1e300, "x", "9" * 5000, "x" * 100_000, [], ["x"], [1e300], [[]],
    [None] * 5000, {}, {"x": 1},
)  # fmt: skip
CLOCKS = Clocks(Instant(1000.0), 1.8e9)


class Kept:
    """What a file says."""

    def __init__(self, content: Any) -> None:
        self.content = content

    def load(self) -> Any:
        return self.content

    def save(self, content: Any) -> None:
        self.content = content


@pytest.mark.parametrize("number", ["1e999", "-1e999", "NaN", "Infinity"])
def test_a_number_that_none_can_calculate_with_is_damage(number: str) -> None:
    """Though the checksum is right."""
    state = f'{{"a":{number}}}'
    said = json.dumps(json.loads(state), sort_keys=True, separators=(",", ":"))
    text = f'{{"version":1,"sha256":"{hashlib.sha256(said.encode()).hexdigest()}","state":{state}}}'
    with pytest.raises(CorruptError):
        decode(text.encode())


def world(unit: Unit) -> World:
    return new_world((unit,), links.check((unit.spec,)).links)


RECORD = {
    **remember(world(fresh_unit(spec("web"), CLOCKS.now, "")), CLOCKS)["web"],
    "phase": "ready", "wanted": True, "health": "none", "container": "c" * 64, "pending": "exit",
}  # fmt: skip


@pytest.mark.parametrize("odd", ODD, ids=lambda odd: repr(odd)[:20])
@pytest.mark.parametrize("field", sorted(RECORD))
def test_a_unit_s_record_may_say_anything(field: str, odd: Any) -> None:
    """What is restored can be decided on, shown and saved again."""
    for same_boot in (True, False):
        for stopped_by in (RECORD["stopped_by"], "person"):
            record = {**RECORD, "stopped_by": stopped_by, field: odd}
            (unit,) = recall([spec("web")], {"web": record}, CLOCKS, same_boot=same_boot, same_host_boot=True)
            decide(unit.spec.restart, unit.budget, Death(Seconds(1), 1, "died"), Instant(1001.0), 0.5)
            told = json.dumps(remember(world(unit), CLOCKS), allow_nan=False)
            assert len(told) < 40_000


@pytest.mark.parametrize("odd", ODD, ids=lambda odd: repr(odd)[:20])
@pytest.mark.parametrize(
    "key", ["units", "counters", "engine_ns", "host_boot", "ended", "choices", "intent", "recreations"]
)
def test_a_file_may_say_anything(key: str, odd: Any) -> None:
    inner = {"name": odd, "over": odd, "old": odd, "running": odd}
    for content in ({key: odd}, {key: {"web": odd, "console": odd}}, {key: {"console": inner}}):
        found = read(Kept(content), BootId("host"))
        assert recall([spec("web")], found.units, CLOCKS, same_boot=True, same_host_boot=True)
        assert all(isinstance(one["old"], str) for one in unfinished(Kept(content)).values())
        choices = Choices(Kept(content), dict.fromkeys(Switchable, "default"), in_thread=directly)
        assert all(isinstance(choices.chosen(of), str) for of in Switchable)
        structlog.get_logger().debug("switch.interrupted", **(choices.interrupted or {}), reason="")
        asyncio.run(change(choices))


async def directly(call: Any, *args: Any) -> Any:
    return call(*args)


async def change(choices: Choices) -> None:
    await choices.choose(Switchable.CONSOLE, "debian")
    await choices.intend({"of": "console", "origin": "a", "target": "b", "step": "c"})
    await choices.drop_intent()
    assert choices.chosen(Switchable.CONSOLE) == "debian"


def test_an_intent_with_other_words_is_none() -> None:
    """Its words become keys of a log line, which has some of its own."""
    odd = {"of": "console", "origin": "a", "target": "b", "reason": "c"}
    assert Choices(Kept({"intent": odd}), {}).interrupted is None
    good = {"of": "console", "origin": "a", "target": "b", "step": "c"}
    assert Choices(Kept({"intent": good}), {}).interrupted == good


ODDER = (*ODD, float("inf"), float("nan"), [["a"], [[]]], [["a"], []], [[1], [1]])


@pytest.mark.parametrize("odd", ODDER, ids=lambda odd: repr(odd)[:20])
@pytest.mark.parametrize("field", sorted(record_file.RECORD))
def test_a_line_of_the_records_may_say_anything(field: str, odd: Any) -> None:
    """It is a record like others, or left out."""
    line = record_file.encode(Record(seq=1, time=1.0, event="unit.fact", unit="web"))
    said = json.dumps({**json.loads(line[record_file.CHECKED :]), field: odd}).encode()
    found = record_file.decode(b"%08x %s" % (zlib.crc32(said), said))
    if found is not None:
        json.dumps(found.as_dict(), allow_nan=False)
        assert record_file.encode(found)
        assert hash(found.inputs) is not None
