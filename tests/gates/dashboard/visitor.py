"""What people do at the dashboard."""

from __future__ import annotations

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


def decisions(page: Page) -> str:
    return page.get_by_role("region", name="Decisions").inner_text()
