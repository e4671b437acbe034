"""A status that is watched goes on where the control plane goes away."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from gates.cli import run
from gates.cli.watching import Seen, looks, watch
from gates.client import ControlFailed
from gates.exits import Exit
from gates.status import ControlStatus, UnresolvedStatus
from tests.gates.serving import served


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


def test_a_trouble_is_told_to_a_pipe_though_no_generation_comes(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gates.cli.watching.time.sleep", lambda seconds: None)
    well = ControlStatus(1, (), {})
    answers = iter([well, well, replace(well, store_trouble="disk full"), well])

    def look() -> ControlStatus:
        for answer in answers:
            return answer
        raise KeyboardInterrupt

    watch(look, as_json=False)
    said = capsys.readouterr().out
    assert said.count("the store fails: disk full") == 1
    assert said.count("no worker is alive") == 3, "before, in and after the trouble"


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


def test_a_model_without_a_route_can_be_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    """Who asks for it wants to know what it waits for, and not that it is unknown."""
    unresolved = UnresolvedStatus("ranker", "@champion", False, "mlflow is away")

    async def status(request: Request) -> Response:
        return Response(msgspec.json.encode(ControlStatus(1, (), {}, unresolved=(unresolved,))))

    with served(Starlette(routes=[Route("/api/status", status)])) as url:
        assert run(["status", "ranker", "--control", url]) == 0
        assert "ranker has no route: it waits for @champion" in capsys.readouterr().out
        assert run(["status", "rankr", "--control", url]) == Exit.REFUSED
        assert "ranker" in capsys.readouterr().err
