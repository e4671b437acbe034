"""One scene and one browser for all tests of the page."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext

from tests.browser import Watched
from tests.endtoend.penstock import Penstock
from tests.gates.dashboard.scene import RELEASE_MANAGER, VIEWER, Traffic, scoring, settings
from tests.gates.dashboard.visitor import log_in
from tests.servers import Background, ModelServer

Open = Callable[..., Watched]


@pytest.fixture(scope="module")
def penstock(
    request: pytest.FixtureRequest, background: Background, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Penstock]:
    """A module may say how long the shadow is to be, by SHADOW_PERIOD."""
    folder = tmp_path_factory.mktemp("dashboard")
    shadow_period = getattr(request.module, "SHADOW_PERIOD", "1s")
    with (
        ModelServer(background, scoring()) as champion,
        ModelServer(background, scoring()) as good,
        ModelServer(background, scoring(wrong_every=2)) as bad,
        Penstock(folder, settings(folder, champion, good, bad, shadow_period), workers=1, token=VIEWER) as penstock,
        Traffic(penstock.url) as traffic,
    ):
        yield penstock
        assert not traffic.failed


@pytest.fixture(scope="module")
def desk(browser: Browser, penstock: Penstock) -> BrowserContext:
    """The window of a release manager at a desk; its pages share a cache and the log-in."""
    desk = browser.new_context(viewport={"width": 1280, "height": 900})
    log_in(desk, penstock.control_url, RELEASE_MANAGER)
    return desk


@pytest.fixture(scope="module")
def phone(browser: Browser, penstock: Penstock) -> BrowserContext:
    """A viewer's."""
    phone = browser.new_context(viewport={"width": 360, "height": 740}, has_touch=True, device_scale_factor=2)
    log_in(phone, penstock.control_url, VIEWER)
    return phone


@pytest.fixture
def open_page(desk: BrowserContext, penstock: Penstock) -> Iterator[Open]:
    """Opens the dashboard at an address such as `#fraud_detector`; at the end nothing may have complained."""
    opened: list[Watched] = []

    def open_page(at: str = "", context: BrowserContext = desk, **media: Any) -> Watched:
        opened.append(Watched(context, f"{penstock.control_url}/{at}", **media))
        return opened[-1]

    yield open_page
    complaints = [complaint for watched in opened for complaint in watched.complaints]
    for watched in opened:
        watched.page.close()
    assert not complaints
