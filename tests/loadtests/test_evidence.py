"""The bench of evidence keeps its promises, in small; and it can tell a promise that is broken."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from loadtests.evidence import ALPHA, BY_UNIT, ERRORS, Promise, faulty, first_alarm, promises, sticky, window


def test_in_small_every_promise_is_kept() -> None:
    measured = list(promises(40))
    assert len(measured) == 9
    assert not [promise for promise in measured if not promise.kept]


def test_a_promise_that_is_broken_shows() -> None:
    assert not Promise("requests", 151, 150).kept


def test_request_by_request_sticky_users_convict_a_lawful_candidate() -> None:
    """Of ten such, some; and by unit none."""
    by_request = replace(BY_UNIT, per="request")
    found = {
        gate.per: [first_alarm((gate,), sticky(np.random.default_rng([3, run]), gate), ALPHA) for run in range(10)]
        for gate in (by_request, BY_UNIT)
    }
    assert any(math.isfinite(alarm) for alarm in found["request"])
    assert not any(math.isfinite(alarm) for alarm in found["unit"])


def test_an_alarm_is_at_the_look_that_shows_it() -> None:
    assert first_alarm((ERRORS,), [window(50, 0), window(100, 40), window(150, 40)], ALPHA) == 100
    assert first_alarm((ERRORS,), [window(50, 0)], ALPHA) == math.inf
    assert first_alarm((ERRORS,), faulty(np.random.default_rng(1), 1.0), ALPHA) <= 3
