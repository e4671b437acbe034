"""Pictures of the dashboard for the documentation, over the demo's real models and traffic: `make screenshots`.

Run by hand, and looked at: no test can tell whether a page is beautiful."""

from __future__ import annotations

import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from playwright.sync_api import Browser, ViewportSize, expect

from gates.client import ControlClient
from gates.demo.scene import MODEL, Scene, staged
from gates.demo.traffic import Traffic
from gates.demo.trial import trial
from tests.browser import Watched, chromium, program

DOCS = Path(__file__).parents[3] / "docs" / "pictures"
DESK: ViewportSize = {"width": 1280, "height": 1180}
GLANCE: ViewportSize = {"width": 1280, "height": 420}
PHONE: ViewportSize = {"width": 390, "height": 844}


def main() -> int:
    path = program()
    if path is None:
        print("make screenshots needs Chromium (Debian, Ubuntu: apt-get install chromium)", file=sys.stderr)
        return 4
    DOCS.mkdir(exist_ok=True)
    with (
        tempfile.TemporaryDirectory() as folder,
        chromium(path) as browser,
        staged(prepared(Path(folder)), lambda text: print(text) if text else None) as scene,
        ControlClient(scene.control) as client,
        Traffic(scene.invocations, scene.versions),
    ):
        with rollout(client, scene.versions.candidate) as running:
            halfway(browser, scene, running)
        with rollout(client, scene.versions.defective):
            pass
        time.sleep(4)  # for the pairs on record, and a point or two after the end
        ended(browser, scene)
    return 0


def prepared(folder: Path) -> Path:
    (folder / "logs").mkdir()
    return folder


@contextmanager
def rollout(client: ControlClient, candidate: str) -> Iterator[threading.Thread]:
    """One of the demo's rollouts, in a thread that ends with it, as the block does."""
    running = threading.Thread(target=lambda: trial(client, MODEL, candidate, lambda status: None))
    running.start()
    yield running
    running.join()


def halfway(browser: Browser, scene: Scene, running: threading.Thread) -> None:
    watched = opened(browser, scene, f"#{MODEL}")
    step = watched.page.locator("[aria-current=step]", has_text="25 %")
    while not step.count():  # for as long as the rollout goes on, however slow the machine is
        if not running.is_alive():
            raise SystemExit("the rollout has ended, and was not seen at 25 %")
        watched.page.wait_for_timeout(200)
    watched.page.wait_for_timeout(1500)
    taken(watched, "rollout-light", whole=False)
    watched.page.emulate_media(color_scheme="dark")
    watched.page.wait_for_timeout(300)
    taken(watched, "rollout-dark", whole=False)


def ended(browser: Browser, scene: Scene) -> None:
    watched = opened(browser, scene, f"#{MODEL}")
    expect(watched.page.locator(".pairs details").first).to_be_attached()
    watched.page.locator(".pairs summary").first.click()
    watched.page.wait_for_timeout(2500)
    taken(watched, "no-go-light")
    phone = opened(browser, scene, f"#{MODEL}", viewport=PHONE, dark=True, scale=2)
    phone.page.wait_for_timeout(3000)
    taken(phone, "phone-dark", whole=False)
    overview = opened(browser, scene, "", viewport=GLANCE)
    overview.page.wait_for_timeout(1500)
    taken(overview, "models-light", whole=False)


def opened(
    browser: Browser, scene: Scene, at: str, viewport: ViewportSize = DESK, dark: bool = False, scale: float = 1
) -> Watched:
    scheme: Literal["light", "dark"] = "dark" if dark else "light"
    context = browser.new_context(viewport=viewport, color_scheme=scheme, device_scale_factor=scale)
    return Watched(context, f"{scene.control}/{at}")


def taken(watched: Watched, name: str, whole: bool = True) -> None:
    file = DOCS / f"dashboard-{name}.png"
    watched.page.screenshot(path=file, full_page=whole)
    print(f"{file}: {file.stat().st_size // 1024} KiB")


if __name__ == "__main__":
    sys.exit(main())
