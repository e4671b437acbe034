"""Requests that both versions were asked: which of the two failed them alone, and whose unit came first."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from uvicorn._types import ASGISendCallable

from proxy.snapshot import Origin, Sticky
from tests.servers import Background, ModelServer, Seen, eventually, predicting, refusing, reply
from tests.workers import Scene, target

PREDICTED = b'{"predictions":[1.0]}'


def answering(status: int) -> Callable[[Seen, ASGISendCallable], Awaitable[None]]:
    async def answer(seen: Seen, send: ASGISendCallable) -> None:
        await reply(send, PREDICTED, status=status)

    return answer


def shadowed(scene: Scene, server: ModelServer | Origin | None = None) -> Scene:
    """The champion serves, and the candidate gets copies."""
    return scene.routed(candidate=target("42", server or scene.candidate))


def settled(scene: Scene, offered: int) -> None:
    """Every copy that was offered has met its end."""
    eventually(lambda: _offered(scene) == offered)
    eventually(scene.worker.idle)


def _offered(scene: Scene) -> int:
    windows = scene.worker.worker.windows
    return sum(windows.of(scene.route, first).shadow.offered for first in (False, True))


@pytest.mark.parametrize(
    ("served", "copied", "alone"),
    [(200, 200, (0, 0)), (200, 503, (1, 0)), (503, 200, (0, 1)), (503, 503, (0, 0)), (200, 404, (1, 0))],
)
def test_what_one_alone_has_failed_of_a_pair_is_counted(
    scene: Scene, served: int, copied: int, alone: tuple[int, int]
) -> None:
    scene.champion.handler, scene.candidate.handler = answering(served), answering(copied)
    assert shadowed(scene).post().status == served
    settled(scene, 1)
    assert (scene.window.alone.candidate, scene.window.alone.champion) == alone


def test_what_the_champion_did_not_answer_at_all_is_asked_of_the_candidate(scene: Scene) -> None:
    with refusing() as nobody:
        assert shadowed(scene).routed(champion=target("40", nobody)).post().status == 502
        settled(scene, 1)
        window = scene.window
        assert (window.alone.candidate, window.alone.champion) == (0, 1)
        assert (window.champion.failures, window.candidate_shadow.failures) == (1, 0)
        assert window.agreement.compared == 0


def test_what_neither_answers_is_held_against_nobody(scene: Scene) -> None:
    with refusing() as nobody, refusing() as nobody_else:
        assert shadowed(scene, nobody).routed(champion=target("40", nobody_else)).post().status == 502
        settled(scene, 1)
        assert (scene.window.alone.candidate, scene.window.alone.champion) == (0, 0)


def test_the_first_answers_of_a_sticky_user_are_counted_apart_in_both_roles(scene: Scene) -> None:
    sticky = Sticky("header", "x-user")
    scene.candidate.handler = predicting(2.0)
    sticking = shadowed(scene).routed(sticky=sticky, by_unit=True)
    for user in ("ada", "ada", "bob", "ada"):
        sticking.post("/invocations", ("x-user", user))
    settled(scene, 4)
    firsts = scene.worker.worker.windows.of(scene.route, first=True)
    assert (firsts.champion.answers, firsts.candidate_shadow.answers, firsts.agreement.disagreed) == (2, 2, 2)


def test_what_is_under_way_shows_as_asked(background: Background, scene: Scene) -> None:
    """Until it is answered, in both roles, and only while there is a candidate."""
    held = asyncio.Event()

    async def slow(seen: Seen, send: ASGISendCallable) -> None:
        await held.wait()
        await reply(send, PREDICTED)

    scene.post()
    assert scene.window.champion.asked == 0
    scene.candidate.handler = slow
    shadowed(scene).post()
    eventually(lambda: scene.candidate.seen)
    copies = scene.window.candidate_shadow
    assert (copies.asked, copies.answers) == (1, 0)
    background.call(held.set)
    settled(scene, 1)
    assert (copies.asked, copies.answers, scene.window.champion.asked) == (1, 1, 1)
