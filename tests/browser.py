"""A real Chromium for the tests, headless, and pages that keep what went wrong in them."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from tempfile import TemporaryDirectory
from typing import Any

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, expect, sync_playwright

FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)
PATIENCE = 60_000.0
"""Milliseconds that only a fault waits for."""
expect.set_options(timeout=PATIENCE)


def program() -> str | None:
    return shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


@contextmanager
def chromium(path: str) -> Iterator[Browser]:
    with TemporaryDirectory(ignore_cleanup_errors=True) as scratch, sync_playwright() as playwright:
        environment: dict[str, str | float | bool] = {**os.environ, "TMPDIR": scratch}  # it leaves what it makes there
        with playwright.chromium.launch(executable_path=path, args=FLAGS, env=environment) as browser:
            yield browser


class Watched:
    """A page, and what its console and its scripts complained of: a policy that was broken, an exception."""

    def __init__(self, context: BrowserContext, url: str, **media: Any) -> None:
        self.page: Page = context.new_page()
        self.page.set_default_timeout(PATIENCE)
        self.page.emulate_media(**media)
        self.complaints: list[str] = []
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("console", self._hear)
        self.page.goto(url)

    def _hear(self, said: ConsoleMessage) -> None:
        if said.type in ("error", "warning"):
            self.complaints.append(said.text)

    def faults(self, *impacts: str) -> list[str]:
        """What axe finds of these impacts, with the elements that it finds it in."""
        found = Axe().run(self.page, options={"resultTypes": ["violations"]}).response["violations"]
        return [
            f"{fault['id']}: {fault['help']}: {[node['target'] for node in fault['nodes']]}"
            for fault in found
            if fault["impact"] in impacts
        ]

    def overflow(self) -> int:
        """How many pixels wider than its window the page is."""
        return int(self.page.evaluate("document.documentElement.scrollWidth - innerWidth"))
