"""The dashboard in a real Chromium, over a whole `penstock serve` under traffic. The tests are one story, in order."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Browser, BrowserContext, Route, expect

from tests.endtoend.penstock import MODEL, Penstock, kill
from tests.gates.dashboard.conftest import Open
from tests.gates.dashboard.scene import RELEASE_MANAGER, VIEWER
from tests.gates.dashboard.visitor import ask, no_go_is_shown, on_record, phase_is
from tests.servers import eventually

HERE = f"#{MODEL}"


def test_from_the_overview_to_a_rollout_that_waits_for_a_person(open_page: Open) -> None:
    watched = open_page()
    page = watched.page
    expect(page.locator("#connection")).to_contain_text("live · 1 worker")
    page.get_by_role("link", name=MODEL).click()
    phase_is(page, "idle")
    ask(page, "Start a rollout", "retrained on October", Candidate="42")
    gate = page.locator(".gate", has_text="agreement")
    expect(gate.locator(".tug")).to_have_attribute("aria-label", re.compile(r"Evidence: \d+ % of what FAIL needs"))
    phase_is(page, "awaiting approval")
    expect(page.locator("[aria-current=step]")).to_contain_text("shadow")
    expect(page.locator(".light")).to_contain_text("GO")
    expect(gate.locator(".verdict")).to_have_text("PASS")
    assert watched.faults("serious", "critical") == []
    for words in ("start", "retrained on October", "maria"):
        on_record(page, words)


def test_charts_show_the_past_also_to_whoever_comes_late(open_page: Open) -> None:
    page = open_page(HERE).page
    for title in ("Traffic by variant", "Latency", "Errors", "Agreement in the stage"):
        figure = page.locator("figure", has_text=title)
        line = figure.locator(".scatterlayer path.js-line").first
        expect(line).to_have_attribute("d", re.compile(r"M.*[LH]"))
        expect(figure.get_by_role("img").first).to_have_attribute("aria-label", re.compile(rf"{title}: .*\d"))
    figure = page.locator("figure", has_text="Traffic by variant")
    figure.get_by_text("As a table").press("Enter")
    rows = figure.get_by_role("row")
    eventually(lambda: rows.count() > 3)
    expect(rows.first).to_contain_text("champion")


def test_a_decision_tells_what_it_was_made_by(open_page: Open) -> None:
    page = open_page(HERE).page
    hold = page.locator(".timeline li", has_text="hold").first
    hold.get_by_text("What it was decided by").press("Enter")
    expect(hold.get_by_role("row", name=re.compile("agreement PASS"))).to_be_visible()
    expect(hold.get_by_role("row", name=re.compile("shadow_period PASS"))).to_be_visible()
    expect(hold).to_contain_text(re.compile(r"[\d,]+ pairs compared, 0 differ"))
    page.wait_for_timeout(1500)
    expect(hold.get_by_role("row", name=re.compile("agreement PASS"))).to_be_visible()


def test_a_review_is_shown_though_it_decides_nothing(open_page: Open) -> None:
    page = open_page(HERE).page
    expect(page.locator(".timeline li").first).to_be_attached()
    body = '{"candidate": "42", "review": "business", "note": "as agreed"}'
    review = f"path => fetch(path, {{method: 'POST', body: '{body}'}}).then(answer => answer.status)"
    assert page.evaluate(review, f"api/models/{MODEL}/approvals") == 200
    expect(page.locator(".timeline li", has_text="as agreed")).to_be_visible()


def test_charts_come_though_their_library_did_not_load_at_first(open_page: Open) -> None:
    watched = open_page()
    page, refused = watched.page, list[str]()

    def refuse_once(route: Route) -> None:
        if refused:
            return route.continue_()
        refused.append(route.request.url)
        return route.abort()

    page.route("**/plotly.js", refuse_once)
    page.get_by_role("link", name=MODEL).click()
    expect(page.locator(".scatterlayer path.js-line").first).to_be_attached()
    assert refused
    watched.complaints.clear()  # the browser notes what did not load


def test_the_axis_of_time_stands_still_for_a_while(open_page: Open) -> None:
    """Or the library would remember each label at each place: 3 MiB an hour."""
    looked_at = """async () => {
        const { extent } = await import("./dashboard/charts.js");
        const minutes = (last) => Array.from({ length: 300 }, (_, at) => ({ at: last - 2 * (299 - at) }));
        return Array.from({ length: 150 }, (_, look) => 1e9 + 2 * look)
            .map((last) => [last, ...extent(minutes(last)).map((edge) => edge / 1000)]);
    }"""
    looks = open_page().page.evaluate(looked_at)
    assert all(first <= last - 598 and last <= end <= last + 64 for last, first, end in looks)
    assert len({(first, end) for _, first, end in looks}) <= 20, "of 150 in five minutes"


def test_an_answer_that_comes_late_closes_no_other_dialog(open_page: Open) -> None:
    page, held = open_page(HERE).page, list[Route]()

    def came() -> list[Route]:
        page.wait_for_timeout(10)  # in which Playwright hears of it
        return held

    page.route("**/rollout/pause", lambda route: held.append(route))
    dialog = page.get_by_role("dialog")
    page.get_by_role("button", name="Pause").click()
    dialog.get_by_label("Reason").fill("a slow store")
    dialog.get_by_role("button", name="Pause").click()
    eventually(came)
    dialog.get_by_role("button", name="Cancel").click()
    page.get_by_role("button", name="Roll back").click()
    held[0].fulfill(json={"model": MODEL, "phase": "paused"})
    expect(page.locator("#said")).to_contain_text("paused")
    expect(dialog.get_by_label("Reason")).to_be_visible()


def test_an_approval_is_of_the_stage_that_was_looked_at(open_page: Open, penstock: Penstock) -> None:
    """A dialog may stay open while others approve, and the rollout climbs on."""
    page, sent = open_page(HERE).page, list[object]()

    def note(route: Route) -> None:
        sent.append(route.request.post_data_json)
        route.fulfill(json={"model": MODEL, "phase": "ramp"})

    page.route("**/rollout/advance", note)
    ask(page, "Approve", "reviewed")
    status = penstock.model()
    assert status is not None
    assert status.rollout is not None
    assert sent == [{"reason": "reviewed", "epoch": status.rollout.epoch}]


def test_it_climbs_and_people_steer_it_and_a_reason_is_asked_for(open_page: Open, penstock: Penstock) -> None:
    page = open_page(HERE).page
    ask(page, "Approve", "reviewed with the risk team")
    expect(page.locator("[aria-current=step]")).to_contain_text("50 %")
    expect(page.locator(".shares")).to_have_attribute("aria-label", re.compile("candidate 42: 50 %"))
    phase_is(page, "ramp")
    expect(page.locator(".timeline li", has_text="climb")).to_have_count(2)
    expect(page.locator(".timeline li", has_text="climb").first).to_contain_text("version 42, to 50 %")
    begun = page.locator("figure", has_text="Traffic by variant").locator(".annotation", has_text="50 %")
    expect(begun).to_be_attached()
    region = page.get_by_role("region", name="Answers by variant")
    region.focus()
    page.wait_for_timeout(2500)  # it is drawn anew meanwhile
    expect(region).to_be_focused()
    ask(page, "Pause", "deploy freeze")
    phase_is(page, "paused")
    page.get_by_role("button", name="Roll back").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("button", name="Roll back").click()
    assert dialog.get_by_label("Reason").evaluate("field => field.validity.valueMissing"), "no reason, no rollback"
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    ask(page, "Roll back", "support reports odd scores")
    phase_is(page, "rolled back")
    expect(page.locator(".stand")).to_contain_text("support reports odd scores")
    expect(page.locator(".climb .fell")).to_contain_text("50 %")
    status = penstock.model()
    assert status is not None
    assert status.rollout is not None
    assert status.rollout.reason == "support reports odd scores"


def test_what_is_refused_is_told_where_it_was_asked(open_page: Open) -> None:
    watched = open_page(HERE)
    page = watched.page
    page.get_by_role("button", name="Start a rollout").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Candidate").fill("99")
    dialog.get_by_label("Reason").fill("a slip of the keys")
    dialog.get_by_role("button", name="Start").click()
    expect(dialog.get_by_role("alert")).to_contain_text("99")
    dialog.get_by_role("button", name="Cancel").click()
    phase_is(page, "rolled back")
    watched.complaints.clear()  # the browser notes each answer that is no success


def test_a_viewer_looks_and_is_refused_all_else(open_page: Open, phone: BrowserContext) -> None:
    watched = open_page(HERE, phone)
    page = watched.page
    phase_is(page, "rolled back")
    expect(page.locator("#who")).to_contain_text("vic · viewer")
    expect(page.get_by_role("button", name="Start a rollout")).to_be_disabled()
    ask_anyway = "path => fetch(path, {method: 'POST', body: '{\"candidate\": \"42\"}'}).then(answer => answer.status)"
    assert page.evaluate(ask_anyway, f"api/models/{MODEL}/rollout") == 403
    phase_is(page, "rolled back")
    watched.complaints.clear()  # the browser notes each answer that is no success


def test_a_token_that_is_wrong_is_told_so_and_who_logs_out_sees_nothing(
    open_page: Open, browser: Browser, penstock: Penstock
) -> None:
    stranger = browser.new_context()
    watched = open_page(HERE, stranger)
    page = watched.page
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("button", name="Cancel").click()
    expect(page.locator("main")).to_contain_text("this control plane asks who you are")
    page.get_by_role("button", name="Log in").click()
    dialog.get_by_label("Token").fill("penstock_" + "x" * 40)
    dialog.get_by_role("button", name="Log in").click()
    expect(dialog.get_by_role("alert")).to_be_visible()
    assert watched.faults("serious", "critical") == []
    dialog.get_by_label("Token").fill(VIEWER)
    dialog.get_by_role("button", name="Log in").click()
    phase_is(page, "rolled back")
    kept = page.evaluate("document.cookie + JSON.stringify(sessionStorage) + JSON.stringify(localStorage)")
    assert VIEWER not in kept, "what a script can read holds no token"
    page.get_by_role("button", name="Log out").click()
    expect(dialog.get_by_label("Token")).to_be_visible()
    watched.complaints.clear()  # the browser notes each answer that is no success


def test_a_gate_says_no_go_and_shows_what_the_two_disagree_on(open_page: Open) -> None:
    page = open_page(HERE).page
    ask(page, "Start a rollout", "the best figures so far", Candidate="43")
    expect(page.locator(".stand")).to_contain_text("gate agreement")
    no_go_is_shown(page, "40", "43", differs=r"\d+", given="inputs")
    expect(page.get_by_role("region", name="Output distributions").locator(".barlayer path").first).to_be_attached()
    slices = page.get_by_role("region", name="Slice region")
    expect(slices.get_by_role("row", name=re.compile("west.* 100.00 % of"))).to_be_visible()
    expect(slices.get_by_role("row", name=re.compile(r"east.* 0 of [\d,]+ .* 0.00 % of"))).to_be_visible()
    page.get_by_role("link", name="All models").click()
    expect(page.locator(".model .light")).to_contain_text("NO-GO")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_serious_fault(open_page: Open, scheme: str) -> None:
    for at, shown in (("", ".model .light"), (HERE, ".scatterlayer path.js-line")):
        watched = open_page(at, color_scheme=scheme)
        expect(watched.page.locator(shown).first).to_be_attached()
        assert watched.faults("serious", "critical") == []
    watched.page.get_by_role("button", name="Start a rollout").click()
    expect(watched.page.get_by_role("dialog")).to_be_visible()
    assert watched.faults("serious", "critical") == []


def test_it_is_all_there_for_the_keyboard(open_page: Open) -> None:
    page = open_page(HERE).page
    phase_is(page, "rolled back")
    for words in ("As a table", "What it was decided by"):  # they come after the picture
        expect(page.get_by_text(words).first).to_be_attached()
    reached = set()
    for _ in range(30):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("document.activeElement.textContent.trim().slice(0, 40)"))
    assert {"Skip to the content", "All models", "Start a rollout", "As a table", "What it was decided by"} <= reached


def test_it_fits_a_phone(open_page: Open, phone: BrowserContext) -> None:
    for at, shown in (("", ".model .light"), (HERE, ".scatterlayer path.js-line")):
        watched = open_page(at, phone)
        expect(watched.page.locator(shown).first).to_be_attached()
        assert watched.overflow() <= 0


def test_a_lost_connection_is_told_and_found_again(open_page: Open, penstock: Penstock) -> None:
    watched = open_page(HERE)
    page = watched.page
    expect(page.locator("#connection")).to_contain_text("live")
    points = page.locator("figure", has_text="Traffic by variant").locator(".scatterlayer path.js-line").first
    expect(points).to_have_attribute("d", re.compile(r"M.*[LH]"))
    (control,) = penstock.children("gates")
    kill(control)
    expect(page.locator("#lost")).to_contain_text("Connection lost")
    expect(page.locator("#lost")).to_contain_text("traffic is served all the same")
    page.get_by_label("Token").fill(RELEASE_MANAGER)  # it knows no session from before
    page.get_by_role("button", name="Log in").click()
    expect(page.locator("#connection")).to_contain_text("live")
    expect(page.locator("#lost")).to_be_hidden()
    expect(points).to_have_attribute("d", re.compile(r"M.*[LH]"))
    phase_is(page, "rolled back")
    watched.complaints.clear()  # the browser notes each connection that fails
