"""How the page holds its connection, in a real Chromium over a whole `penstock serve`."""

from __future__ import annotations

import os
import signal

from playwright.sync_api import Page, expect

from tests.endtoend.penstock import MODEL, Penstock
from tests.gates.dashboard.conftest import Open
from tests.gates.dashboard.visitor import ask, phase_is

HERE = f"#{MODEL}"
CONNECTIONS = 6
"""As many as Chromium has to one address at a time."""


def hide(page: Page, hidden: bool = True) -> None:
    """Headless pages are all in front: what the page would be told is told it."""
    page.evaluate(
        """hidden => {
            Object.defineProperty(document, "hidden", { configurable: true, value: hidden });
            document.dispatchEvent(new Event("visibilitychange"));
        }""",
        hidden,
    )


def test_tabs_in_the_background_leave_the_buttons_their_connections(open_page: Open) -> None:
    """Each stream holds one of the few that a browser has: with six of them a rollback would wait for two minutes."""
    for _ in range(CONNECTIONS):
        behind = open_page(HERE).page
        phase_is(behind, "idle")
        hide(behind)
    page = open_page(HERE).page
    ask(page, "Start a rollout", "retrained on October", Candidate="42")
    ask(page, "Roll back", "support reports odd scores")
    phase_is(page, "rolled back")
    phase_is(behind, "idle")
    hide(behind, hidden=False)
    phase_is(behind, "rolled back")
    expect(behind.locator("#connection")).to_contain_text("live")


def test_a_connection_that_falls_silent_is_told_and_found_again(open_page: Open, penstock: Penstock) -> None:
    """No error comes of a control plane that has stopped: only the silence tells."""
    page = open_page(HERE).page
    expect(page.locator("#connection")).to_contain_text("live")
    (control,) = penstock.children("gates")
    os.kill(control, signal.SIGSTOP)
    try:
        expect(page.locator("#lost")).to_contain_text("Connection lost: nothing was heard for a while")
        expect(page.locator("#lost")).to_contain_text("What you see is how things stood at ")
    finally:
        os.kill(control, signal.SIGCONT)
    expect(page.locator("#connection")).to_contain_text("live")
    expect(page.locator("#lost")).to_be_hidden()
