"""A status that is watched goes on where the control plane goes away."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gates.cli.watching import Seen, looks
from gates.client import ControlFailed
from gates.exits import Exit
from gates.status import ControlStatus


def test_a_watch_survives_a_control_plane_that_goes_away() -> None:
    first = ControlStatus(1, (), {})
    answers = iter([first, ControlFailed("gone", Exit.UNAVAILABLE), ControlFailed("gone", Exit.UNAVAILABLE), None])

    def look() -> ControlStatus:
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer or replace(first, generation=2)

    seen = looks(look, every=0.0)
    assert next(seen) == Seen(first)
    for _ in range(2):
        lost = next(seen)
        assert (lost.status, lost.trouble) == (first, "gone")
        assert lost.age > 0
    assert next(seen) == Seen(replace(first, generation=2))


@pytest.mark.parametrize("answers", [[Exit.UNAVAILABLE], [None, Exit.REFUSED]])
def test_a_watch_ends_where_it_cannot_begin_or_is_refused(answers: list[Exit | None]) -> None:
    given = iter(answers)

    def look() -> ControlStatus:
        status = next(given)
        if status is not None:
            raise ControlFailed("no", status)
        return ControlStatus(1, (), {})

    with pytest.raises(ControlFailed):
        list(looks(look, every=0.0))
