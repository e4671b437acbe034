"""Every answer bears a date: the upstream's own, or ours where it gives none (RFC 9110 section 6.6.1)."""

from __future__ import annotations

import time
from email.utils import parsedate_to_datetime

import pytest

from proxy.dates import http_date
from tests.servers import HANG, READ, Background, Scripted, whole
from tests.wire import Client, call
from tests.workers import Scene, target


def is_now(date: str) -> bool:
    """To the second, within the patience of a busy machine."""
    return date.endswith(" GMT") and abs(parsedate_to_datetime(date).timestamp() - time.time()) < 30


def test_a_date_is_of_this_second_and_as_http_writes_it() -> None:
    assert is_now(http_date().decode())
    before = http_date()
    while http_date() == before:
        time.sleep(0.01)


def test_the_upstreams_own_date_goes_through(scene: Scene, background: Background) -> None:
    own = "Sun, 06 Nov 1994 08:49:37 GMT"
    with Scripted(background, [READ, whole(b"ok", 200, f"Date: {own}"), HANG]) as upstream:
        assert scene.routed(champion=target("40", upstream)).post().all("date") == [own]


def test_an_answer_without_a_date_is_given_one(scene: Scene, background: Background) -> None:
    with Scripted(background, [READ, whole(b"ok"), HANG]) as upstream:
        assert is_now(scene.routed(champion=target("40", upstream)).post()["date"])


@pytest.mark.parametrize("path", ["/-/live", "/-/nothing", "/elsewhere"])
def test_our_own_answers_have_a_date(scene: Scene, path: str) -> None:
    scene.routed(path_prefix="/known")
    assert is_now(call(scene.port, "GET", path)["date"])


def test_a_refusal_has_a_date(scene: Scene) -> None:
    with Client(scene.port) as client:
        client.send(b"nonsense\r\n\r\n")
        assert is_now(client.read()["date"])
