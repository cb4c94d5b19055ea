"""What chaos expects of a unit, and what it says when that is not so."""

import time

from tests.chaos.kinds import Kind
from tests.chaos.ledger import MARGIN, Ledger, Of, Outage, Wish
from tests.chaos.verdict import of_unit, wrong_lines

READY = {"state": "ready", "reason": "started"}
STOPPED = {"state": "inactive", "reason": "stopped from outside (docker stop)"}


def test_a_unit_is_as_it_should_be_or_a_sentence_says_what_is_wrong() -> None:
    """A wanted one runs once, a stopped one not at all; where nobody can know, both will do."""
    assert list(of_unit("a", Wish.RUNS, READY, 1)) == []
    assert list(of_unit("a", Wish.DOWN, STOPPED, 0)) == []
    assert list(of_unit("a", Wish.UNSURE, READY, 1)) == list(of_unit("a", Wish.UNSURE, STOPPED, 0)) == []
    assert list(of_unit("a", Wish.RUNS, READY, 2)) == ["a (runs) is ready: started; and 2 of it run"]
    assert list(of_unit("a", Wish.DOWN, READY, 1)) == ["a (stays down) is ready: started"]
    assert list(of_unit("a", Wish.UNSURE, STOPPED, 1)) == [
        "a (runs or stays down) is inactive: stopped from outside (docker stop); and 1 of it run"
    ]
    assert list(of_unit("a", Wish.RUNS, None, 1)) == ["a is unknown to the supervisor, 1 of it run"]


def test_only_a_line_that_was_cut_short_may_be_no_json() -> None:
    log = ['{"event": "boot.started"}', '{"event": "unit.trans', "Traceback (most recent call last):"]
    assert list(wrong_lines(log)) == ["no JSON in the log: Traceback (most recent call last):"]


def test_counters_are_foretold_where_nothing_was_away() -> None:
    """An outage within some seconds hides what was done; so does what may have ended the same run."""
    ledger = Ledger(("a", "b"))
    ledger.did("a", Kind.KILL)
    assert ledger.exact("a")
    ledger.did("a", Kind.STOP)
    assert not ledger.exact("a")
    ledger.did("b", Kind.KILL)
    assert ledger.exact("b")
    now = time.monotonic()
    ledger.outages.append(Outage(Of.SUPERVISOR, now - 10 - MARGIN, now - 1 - MARGIN))
    assert ledger.exact("b")
    ledger.outages.append(Outage(Of.SUPERVISOR, now, now + 1))
    assert not ledger.exact("b")


def test_a_stop_through_an_engine_that_is_away_is_unsure() -> None:
    """It may count as the engine's own doing; while only the supervisor is away it stays a person's."""
    assert _stopped_while_away(Of.SUPERVISOR) is Wish.DOWN
    assert _stopped_while_away(Of.ENGINE) is Wish.UNSURE


def _stopped_while_away(of: Of) -> Wish:
    ledger = Ledger(("a",))
    with ledger.outage(of):
        ledger.wish("a", Wish.DOWN)
    return ledger.accounts["a"].wish
