"""What is wrong beside the rollouts, in a real Chromium, over pictures of troubles that are hard to make."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import msgspec
import pytest
from playwright.sync_api import BrowserContext, Page, expect

from gates.api.live import EVENTS, Picture
from gates.api.refusals import Problem
from gates.dashboard.feed import event
from gates.status import ConfigurationStatus, ControlStatus, RegistryStatus, UnresolvedStatus
from tests.browser import Watched
from tests.endtoend.penstock import MODEL, Penstock
from tests.gates.dashboard.conftest import Open
from tests.gates.test_terminal import HANGING, ROLLOUT
from tests.gates.test_terminal import MODEL as RAMPING

HERE = f"#{MODEL}"
PROBLEMS = ("penstock.yaml:3: listen: expected HOST:PORT", "penstock.yaml:9: models.fraud: no champion")
SOUND = ConfigurationStatus("0123456789ab", 0.0)
UNROUTED = UnresolvedStatus(MODEL, "@champion", False, "mlflow is away")

STREAM = "**/api/stream*"

Answered = Callable[..., Watched]


@pytest.fixture
def status(penstock: Penstock) -> ControlStatus:
    with penstock.client() as client:
        return client.status()


@pytest.fixture
def answered(desk: BrowserContext, open_page: Open) -> Iterator[Answered]:
    """Opens the page at an address, over a stream that answers with this."""

    def answered(at: str, **answer: Any) -> Watched:
        desk.route(STREAM, lambda route: route.fulfill(**answer))
        return open_page(at)

    yield answered
    desk.unroute(STREAM)


def picture(status: ControlStatus) -> dict[str, Any]:
    return {"body": event(msgspec.json.encode(Picture(status))), "content_type": EVENTS}


def banner(page: Page, words: str) -> str:
    place = page.locator("#troubles .banner", has_text=words)
    expect(place).to_be_visible()
    return place.inner_text()


def test_all_that_is_wrong_is_told_at_once_with_what_it_means(answered: Answered, status: ControlStatus) -> None:
    worst = replace(
        status,
        store_trouble="disk full",
        registry=RegistryStatus(3, "mlflow is away"),
        configuration=replace(SOUND, trouble="\n".join(PROBLEMS), waits_for_restart=("listen", "tls")),
        models=(replace(RAMPING, rollout=replace(ROLLOUT, stuck="version 42 should give way to 40")),),
    )
    watched = answered("", **picture(worst))
    banner(watched.page, f"{MODEL} serves a version that should give way: version 42 should give way to 40")
    store = banner(watched.page, "The store fails: disk full")
    assert "Only rollbacks are decided" in store
    assert "until it answers" in banner(watched.page, "The registry fails, 3 errands wait: mlflow is away")
    refused = banner(watched.page, "The configuration as saved is not in force")
    assert all(problem in refused.splitlines() for problem in PROBLEMS)
    assert "rollouts go on" in banner(watched.page, "Saved, and not in force before a new start: listen, tls")
    assert watched.faults("serious", "critical") == []


def test_nothing_is_told_while_all_is_well(answered: Answered, status: ControlStatus) -> None:
    well = replace(status, registry=RegistryStatus(1, ""), configuration=SOUND)
    page = answered("", **picture(well)).page
    expect(page.locator(".card.model")).to_be_visible()
    expect(page.locator("#troubles .banner")).to_have_count(0)


def test_a_model_without_a_route_is_there_with_what_it_waits_for(answered: Answered, status: ControlStatus) -> None:
    """And is not taken for one that nobody configured, nor for a connection that is lost."""
    unrouted = replace(status, models=(), unresolved=(UNROUTED,))
    watched = answered("", **picture(unrouted))
    page = watched.page
    expect(page.locator(".card.model", has_text="no route")).to_contain_text(MODEL)
    assert "answered 404" in banner(page, f"{MODEL} has no route: it waits for @champion: mlflow is away")
    page.get_by_role("link", name=MODEL).click()
    expect(page.locator(".head .pill")).to_have_text("no route")
    expect(page.locator(".stand")).to_contain_text("@champion")
    expect(page.locator("#connection")).to_contain_text("live")
    assert watched.faults("serious", "critical") == []


def test_failures_are_told_by_code(answered: Answered, status: ControlStatus) -> None:
    champion = replace(ROLLOUT.lanes["champion"], failures=13, errors={"status_5xx": 1, "timeout": 12})
    hanging = {"candidate": HANGING, "candidate_shadow": HANGING}
    failing = replace(RAMPING, rollout=replace(ROLLOUT, lanes={"champion": champion, **hanging}))
    page = answered(HERE, **picture(replace(status, models=(failing,)))).page
    stage = page.get_by_role("region", name="This stage")
    expect(stage).to_contain_text("champion failed: timeout 12, status_5xx 1")
    expect(stage).to_contain_text("clients that left before their answer was whole: candidate 1,234")
    expect(stage).not_to_contain_text("on copies 1,234")


def test_a_control_plane_that_answers_with_an_error_is_no_lost_connection(answered: Answered) -> None:
    problem = Problem("not_started", "the control plane has not started yet: disk full", "try again soon")
    watched = answered(HERE, status=503, body=msgspec.json.encode(problem), content_type="application/json")
    lost = watched.page.locator("#lost")
    expect(lost).to_contain_text("has no picture to show: the control plane has not started yet: disk full")
    assert "Connection lost" not in lost.inner_text()
    assert "What you see" not in lost.inner_text(), "nothing is to be seen"
    watched.complaints.clear()  # the browser notes each answer that is no success
