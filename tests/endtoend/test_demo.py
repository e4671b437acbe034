"""The main job, end to end: `penstock demo` on real models, a real registry and real model servers, and its dashboard
in a real browser. It runs once, and the tests are its story, in order."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import psutil
import pytest
import yaml
from playwright.sync_api import Browser, BrowserContext, expect

from gates.adapters.mlflowstore import connect
from gates.adapters.tokens import hash_of, make
from gates.demo.scene import MODEL, tracking_uri
from tests.browser import Watched
from tests.endtoend.penstock import kill
from tests.gates.dashboard.visitor import ask, log_in, no_go_is_shown, on_record, phase_is
from tests.servers import eventually
from tests.wire import PATIENCE

HERE = f"#{MODEL}"
A_ROLLOUT = 150.0
"""Seconds; only a fault takes longer."""
RELEASE_MANAGER, VIEWER = make(), make()
PEOPLE = (("maria", "release_manager", RELEASE_MANAGER), ("vic", "viewer", VIEWER))

pytestmark = pytest.mark.timeout(400)


@dataclass(frozen=True, slots=True)
class Demo:
    """`penstock demo --keep` in a folder of its own."""

    folder: Path
    process: subprocess.Popen[bytes]

    @property
    def said(self) -> str:
        return (self.folder / "said.txt").read_text(errors="replace")

    @property
    def config(self) -> Path:
        return self.folder / "here" / "penstock.yaml"

    def control(self) -> str:
        """Where the dashboard is, once it is there."""
        return eventually(self._control, A_ROLLOUT)

    def _control(self) -> str:
        assert self.process.poll() is None, self.said
        found = re.search(r"watch it in a browser: (http://[^/]+)/#", self.said)
        return found[1] if found else ""

    def told(self) -> dict[str, Any]:
        """What it says of itself, once both rollouts have ended."""
        eventually(lambda: "all is kept running" in self.said or self.process.poll() is not None, A_ROLLOUT)
        assert self.process.poll() is None, self.said
        return dict(json.loads((self.folder / "summary.json").read_text()))


@pytest.fixture(scope="module")
def demo(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    """The browser is there first: the better candidate's climb does not wait for it."""
    folder = tmp_path_factory.mktemp("demo")
    command = [sys.executable, "-m", "gates", "demo", "--keep", "--directory", "here", "--summary", "summary.json"]
    with (folder / "said.txt").open("wb") as said:
        process = subprocess.Popen(command, cwd=folder, stdout=said, stderr=subprocess.STDOUT)
    try:
        yield Demo(folder, process)
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(120)


@pytest.fixture(scope="module")
def people(demo: Demo) -> str:
    """The demo's control port, which asks from now on who you are: its configuration is changed under traffic."""
    control, config = demo.control(), yaml.safe_load(demo.config.read_text())
    tokens = [{"name": name, "role": role, "hash": hash_of(token)} for name, role, token in PEOPLE]
    demo.config.write_text(yaml.safe_dump({**config, "access": {"tokens": tokens}}, sort_keys=False))
    eventually(lambda: httpx2.get(f"{control}/api/models", timeout=A_ROLLOUT, trust_env=False).status_code == 401)
    return control


@pytest.fixture(scope="module")
def desk(browser: Browser, people: str) -> BrowserContext:
    desk = browser.new_context(viewport={"width": 1280, "height": 900})
    log_in(desk, people, RELEASE_MANAGER)
    return desk


def test_the_page_shows_how_the_better_candidate_climbs(demo: Demo, browser: Browser) -> None:
    watched = Watched(browser.new_context(), f"{demo.control()}/{HERE}")
    page, patience = watched.page, A_ROLLOUT * 1000
    agreement = page.locator(".gate", has_text="agreement")
    evidence = re.compile(r"Evidence: \d+ % of what FAIL needs")
    expect(agreement.locator(".tug")).to_have_attribute("aria-label", evidence, timeout=patience)
    expect(agreement.locator(".verdict")).to_have_text("PASS", timeout=patience)
    expect(page.locator("[aria-current=step]")).to_contain_text(re.compile(r"\d+ %"), timeout=patience)
    expect(page.locator(".shares")).to_have_attribute("aria-label", re.compile(r"candidate 2: \d+ %"))
    line = page.locator("figure", has_text="Traffic by variant").locator(".scatterlayer path.js-line").first
    expect(line).to_have_attribute("d", re.compile(r"M.*[LH]"))
    expect(page.locator(".timeline li", has_text="promote")).to_be_attached(timeout=patience)
    expect(page.locator(".timeline li", has_text="climb")).to_have_count(6)
    assert watched.complaints == []
    page.context.close()


def test_the_page_shows_what_the_defective_candidate_was_refused_for(demo: Demo, browser: Browser) -> None:
    demo.told()
    watched = Watched(browser.new_context(), f"{demo.control()}/{HERE}")
    page = watched.page
    no_go_is_shown(page, "2", "3", differs="benign|malignant", given="worst radius")
    expect(page.locator(".scatterlayer path.js-line").first).to_be_attached()
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        assert watched.faults("serious", "critical") == []
    assert watched.complaints == []
    page.context.close()


def test_one_was_promoted_and_one_rolled_back(demo: Demo) -> None:
    told = demo.told()
    assert told["client_requests"] >= 2_000
    assert told["client_failures"] == 0
    assert told["good"]["phase"] == "promoted"
    assert 0 < told["good"]["candidate_requests_served_to_clients"] <= told["answers_by_version"]["2"]
    assert told["bad"]["phase"] == "rolled_back"
    assert told["bad"]["gate"] == "agreement"
    assert told["bad"]["candidate_requests_served_to_clients"] == 0
    assert "3" not in told["answers_by_version"], "no client ever saw the defective version"
    assert set(told["claims"].values()) == {True}


def test_the_registry_knows(demo: Demo) -> None:
    demo.told()
    client = connect(tracking_uri(demo.folder / "here"))
    aliases = {alias: str(version) for alias, version in client.get_registered_model(MODEL).aliases.items()}
    assert aliases == {"champion": "2"}
    assert client.get_model_version(MODEL, "2").tags["previous_champion"] == "1"
    assert client.get_model_version(MODEL, "2").tags["stage"] == "Production"
    assert client.get_model_version(MODEL, "1").tags["stage"] == "Archived"
    assert client.get_model_version(MODEL, "3").tags["rollback_reason"].startswith("gate agreement")


def test_a_release_manager_starts_a_rollout_and_rolls_it_back(demo: Demo, people: str, desk: BrowserContext) -> None:
    watched = Watched(desk, f"{people}/{HERE}")
    page = watched.page
    ask(page, "Start a rollout", "was the first one better?", Candidate="1")
    phase_is(page, "shadow")
    copies = page.get_by_role("row", name=re.compile("candidate, on copies"))
    expect(copies).to_be_visible()
    ask(page, "Roll back", "it was not")
    phase_is(page, "rolled back")
    expect(page.locator(".stand")).to_contain_text("it was not")
    on_record(page, "maria")
    assert watched.complaints == []
    page.close()


def test_a_viewer_is_refused(people: str, browser: Browser) -> None:
    phone = browser.new_context(viewport={"width": 360, "height": 740}, has_touch=True)
    log_in(phone, people, VIEWER)
    watched = Watched(phone, f"{people}/{HERE}")
    page = watched.page
    phase_is(page, "rolled back")
    expect(page.get_by_role("button", name="Start a rollout")).to_be_disabled()
    ask_anyway = "path => fetch(path, {method: 'POST', body: '{\"candidate\": \"1\"}'}).then(answer => answer.status)"
    assert page.evaluate(ask_anyway, f"api/models/{MODEL}/rollout") == 403
    assert watched.overflow() <= 0
    phone.close()


def test_the_connection_is_lost_and_found(demo: Demo, people: str, desk: BrowserContext) -> None:
    page = Watched(desk, f"{people}/{HERE}").page
    expect(page.locator("#connection")).to_contain_text("live")
    kill(control_plane(demo).pid)
    expect(page.locator("#lost")).to_contain_text("Connection lost")
    page.get_by_label("Token").fill(RELEASE_MANAGER)  # it knows no session from before
    page.get_by_role("button", name="Log in").click()
    expect(page.locator("#connection")).to_contain_text("live · 2 workers")
    expect(page.locator("#lost")).to_be_hidden()
    phase_is(page, "rolled back")
    page.close()


def test_it_ends_when_it_is_told_to_and_leaves_nothing_running(demo: Demo) -> None:
    family = psutil.Process(demo.process.pid).children(recursive=True)
    assert len(family) > 5, "the supervisor, the control plane, two workers and three servers at the least"
    demo.process.send_signal(signal.SIGTERM)
    assert demo.process.wait(120) == 0, demo.said
    _, left = psutil.wait_procs(family, timeout=PATIENCE)
    assert not left


def control_plane(demo: Demo) -> psutil.Process:
    family = psutil.Process(demo.process.pid).children(recursive=True)
    (found,) = (process for process in family if " -m gates " in " ".join(process.cmdline()))
    return found
