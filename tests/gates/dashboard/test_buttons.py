"""Every button of a rollout, in a real Chromium over a whole `penstock serve` under traffic: one story, in order."""

from __future__ import annotations

from playwright.sync_api import Page, expect

from tests.browser import Watched
from tests.endtoend.penstock import MODEL, Penstock
from tests.gates.dashboard.conftest import Open
from tests.gates.dashboard.visitor import ask, on_record, phase_is

HERE = f"#{MODEL}"
SHADOW_PERIOD = "1h"
"""So that the shadow ends by a person's word alone, and the production gates are a NO-GO from then on."""


def stage_is(page: Page, stage: str) -> None:
    expect(page.locator("[aria-current=step]")).to_contain_text(stage)


def served(penstock: Penstock) -> tuple[str, str]:
    """The version that serves, and the one before it."""
    with penstock.client() as client:
        status = client.model(MODEL)
    return status.champion, status.previous


def buttons_are(page: Page, *names: str) -> None:
    expect(page.get_by_role("group", name="What you can do").get_by_role("button")).to_have_text(names)


def nothing_bars_anybody(watched: Watched) -> None:
    for scheme in ("light", "dark"):
        watched.page.emulate_media(color_scheme=scheme)
        assert watched.faults("serious", "critical") == []


def test_advance_passes_over_what_the_stage_still_needs(open_page: Open) -> None:
    page = open_page(HERE).page
    ask(page, "Start a rollout", "retrained on October", Candidate="42")
    phase_is(page, "shadow")
    expect(page.locator(".stand")).to_contain_text("needs")
    buttons_are(page, "Advance", "Pause", "Roll back", "Promote")
    ask(page, "Advance", "reviewed with the risk team")
    phase_is(page, "ramp")
    on_record(page, "reviewed with the risk team")
    stage_is(page, "50 %")


def test_resume_goes_on_from_where_it_was_paused(open_page: Open) -> None:
    watched = open_page(HERE)
    page = watched.page
    stage_is(page, "50 %")
    nothing_bars_anybody(watched)
    ask(page, "Pause", "deploy freeze")
    phase_is(page, "paused")
    buttons_are(page, "Resume", "Roll back", "Promote")
    nothing_bars_anybody(watched)
    ask(page, "Resume", "the freeze is over")
    phase_is(page, "ramp")
    stage_is(page, "50 %")
    on_record(page, "the freeze is over")


def test_a_promotion_against_the_gates_needs_the_box(open_page: Open, penstock: Penstock) -> None:
    watched = open_page(HERE)
    page = watched.page
    page.get_by_role("button", name="Promote").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Reason").fill("the launch is today")
    dialog.get_by_role("button", name="Promote").click()
    expect(dialog.get_by_role("alert")).to_contain_text("shadow_period")
    assert served(penstock) == ("40", "")
    dialog.get_by_label("Whatever the production gates say").check()
    dialog.get_by_role("button", name="Promote").click()
    expect(dialog).to_be_hidden()
    phase_is(page, "promoted")
    expect(page.locator(".traffic").first).to_contain_text("champion 42 · 100 %")
    on_record(page, "override")
    assert served(penstock) == ("42", "40")
    watched.complaints.clear()  # the browser notes each answer that is no success


def test_back_to_the_version_that_served_before(open_page: Open, penstock: Penstock) -> None:
    watched = open_page(HERE)
    page = watched.page
    phase_is(page, "promoted")
    nothing_bars_anybody(watched)
    ask(page, "Back to version 40", "support reports odd scores")
    expect(page.locator(".traffic").first).to_contain_text("champion 40 · 100 %")
    on_record(page, "support reports odd scores")
    assert served(penstock) == ("40", "42")
