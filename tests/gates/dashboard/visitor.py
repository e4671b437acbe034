"""What people do at the dashboard."""

from __future__ import annotations

import re

from playwright.sync_api import BrowserContext, Page, expect

from tests.browser import Watched


def log_in(context: BrowserContext, control: str, token: str) -> None:
    """As people do it, in the dialog that an unknown visitor is met with."""
    page = Watched(context, control).page
    page.get_by_label("Token").fill(token)
    page.get_by_role("button", name="Log in").click()
    expect(page.locator("#connection")).to_contain_text("live")
    page.close()


def ask(page: Page, button: str, reason: str, **fields: str) -> None:
    """Press a button and give a reason."""
    page.get_by_role("group", name="What you can do").get_by_role("button", name=button).click()
    dialog = page.get_by_role("dialog")
    for label, text in {"Reason": reason, **fields}.items():
        dialog.get_by_label(label).fill(text)
    dialog.get_by_role("button").last.click()
    expect(dialog).to_be_hidden()


def phase_is(page: Page, phase: str) -> None:
    expect(page.locator(".head .pill")).to_have_text(phase)


def no_go_is_shown(page: Page, champion: str, candidate: str, differs: str, given: str) -> None:
    """That the agreement gate ended the rollout, and a pair behind it: what differs is marked in both answers."""
    phase_is(page, "rolled back")
    expect(page.locator(".light")).to_contain_text("NO-GO")
    expect(page.locator(".gate", has_text="agreement").locator(".verdict")).to_have_text("FAIL")
    expect(page.locator(".stand")).to_contain_text("rolled back: gate agreement")
    pair = page.locator(".pairs details").first
    pair.locator("summary").press("Enter")
    for side in (f"Champion {champion}", f"Candidate {candidate}"):
        expect(pair.get_by_role("region", name=side).locator("mark")).to_have_text(re.compile(differs))
    expect(pair.get_by_role("region", name="Request")).to_contain_text(given)


def on_record(page: Page, words: str) -> None:
    expect(page.get_by_role("region", name="Decisions")).to_contain_text(words)
