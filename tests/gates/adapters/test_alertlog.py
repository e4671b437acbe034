"""Which alerts were told, in SQLite and in PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import pytest

from gates.adapters.alertlog import SqlAlertLog
from gates.alerts import AlertKey
from gates.ports import AlertLog
from tests.fakes import FakeAlertLog

ROLLED_BACK, STORE_GONE = AlertKey("rolled_back", "m", "r1:2"), AlertKey("store_gone", "")


@pytest.fixture
def log(url_or_memory: str | None) -> Iterator[AlertLog]:
    if url_or_memory is None:
        yield FakeAlertLog()
        return
    with closing(SqlAlertLog(url_or_memory)) as opened:
        yield opened


def test_what_was_told_is_known_by_when_it_was_told_last(log: AlertLog) -> None:
    assert log.told() == {}
    log.tell(ROLLED_BACK, 100.5, before=0.0)
    log.tell(STORE_GONE, 101.0, before=0.0)
    log.tell(ROLLED_BACK, 200.25, before=0.0)
    assert log.told() == {ROLLED_BACK: 200.25, STORE_GONE: 101.0}


def test_what_is_old_is_forgotten_and_a_condition_is_not(log: AlertLog) -> None:
    log.tell(ROLLED_BACK, 100.0, before=0.0)
    log.tell(STORE_GONE, 100.0, before=0.0)
    log.tell(AlertKey("started", "m", "r2:0"), 300.0, before=200.0)
    assert set(log.told()) == {STORE_GONE, AlertKey("started", "m", "r2:0")}


def test_a_condition_whose_end_is_told_holds_no_more_whatever_is_forgotten(log: AlertLog) -> None:
    log.tell(STORE_GONE, 100.0, before=0.0)
    log.tell(AlertKey("store_gone", "m"), 100.0, before=0.0)
    log.tell(AlertKey("store_gone_over", ""), 200.0, before=0.0)
    log.tell(ROLLED_BACK, 9_000.0, before=5_000.0)
    assert set(log.told()) == {AlertKey("store_gone", "m"), ROLLED_BACK}
