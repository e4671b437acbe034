"""What is wrong beside the rollouts, as people read it in a terminal."""

from __future__ import annotations

from dataclasses import replace

import pytest
from rich.cells import cell_len

from gates import terminal
from gates.dashboard.files import load
from gates.status import ConfigurationStatus, ControlStatus, RegistryStatus, UnresolvedStatus
from gates.terminal.troubles import WIDEST, troubles
from tests.gates.test_terminal import MODEL, ROLLOUT, STATUS, text

SOUND = ConfigurationStatus("0123456789ab", 0.0)
WELL = replace(STATUS, registry=RegistryStatus(0, ""), configuration=SOUND)
PROBLEMS = "penstock.yaml:3: listen: expected HOST:PORT\npenstock.yaml:9: models.fraud: no champion"

WORST = ControlStatus(
    17,
    (),
    {},
    "disk full " * 20,
    RegistryStatus(3, "away"),
    ConfigurationStatus("", 0.0, PROBLEMS, ("tls",)),
    (UnresolvedStatus("m", "@champion", False, ""), UnresolvedStatus("n", "@challenger", True, "")),
)


def told(status: ControlStatus) -> str:
    return " ".join(text(terminal.overview(status)).split())


def test_nothing_is_told_while_all_is_well() -> None:
    assert text(terminal.overview(WELL)) == text(terminal.overview(STATUS))
    assert text(terminal.overview(WELL)).startswith("fraud_detector")


def test_a_store_that_fails_is_told_first_with_what_it_means() -> None:
    """A screen that is watched shows its beginning."""
    shown = text(terminal.overview(replace(WELL, store_trouble="disk full")))
    assert shown.startswith("✘ the store fails: disk full\n")
    assert "only rollbacks are decided" in " ".join(shown.split())


@pytest.mark.parametrize(("waiting", "words"), [(1, "1 errand waits"), (1_200, "1,200 errands wait")])
def test_a_registry_that_fails_is_told_with_the_errands_that_wait(waiting: int, words: str) -> None:
    shown = told(replace(WELL, registry=RegistryStatus(waiting, "mlflow is away")))
    assert f"! the registry fails, {words}: mlflow is away" in shown
    assert "until it answers" in shown


def test_each_problem_of_the_configuration_has_a_line() -> None:
    status = replace(WELL, configuration=replace(SOUND, trouble=PROBLEMS))
    lines = [line.strip() for line in text(terminal.overview(status)).splitlines()]
    assert lines[:3] == ["✘ the configuration as saved is not in force:", *PROBLEMS.splitlines()]
    assert "the last good configuration stays" in told(status)


def test_what_waits_for_a_new_start_is_named() -> None:
    waits = replace(SOUND, waits_for_restart=("listen", "store"))
    assert "not in force before a new start: listen, store" in told(replace(WELL, configuration=waits))


def test_a_model_without_a_route_is_told_and_is_not_taken_for_none() -> None:
    unresolved = UnresolvedStatus("fraud_detector", "@champion", False, "mlflow is away")
    shown = told(replace(WELL, models=(), unresolved=(unresolved,)))
    assert "✘ fraud_detector has no route: it waits for @champion: mlflow is away" in shown
    assert "its requests are answered 404" in shown
    assert "no model is configured" not in shown


def test_a_version_that_should_give_way_and_cannot_is_told() -> None:
    promoted = replace(MODEL, candidate=None, rollout=replace(ROLLOUT, stuck="version 42 should give way to 40"))
    shown = told(replace(WELL, models=(promoted,)))
    assert "✘ fraud_detector serves a version that should give way: version 42 should give way to 40" in shown


def test_a_model_that_serves_and_waits_for_its_candidate_is_told() -> None:
    unresolved = UnresolvedStatus("fraud_detector", "@challenger", True, "")
    shown = told(replace(WELL, unresolved=(unresolved,)))
    assert "! fraud_detector waits for @challenger: the registry has not told yet which version that is" in shown
    assert "404" not in shown


def test_all_troubles_are_told_at_once_and_none_is_wider_than_the_terminal() -> None:
    for words in ("the store fails", "the registry fails", "is not in force", "a new start: tls", "no route"):
        assert words in told(WORST)
    for width in (40, 80, 200):
        assert max(map(cell_len, text(terminal.overview(WORST), width).splitlines())) <= min(width, WIDEST)


def test_the_dashboard_says_the_same_of_each() -> None:
    page = load("troubles.js").content.decode().lower()
    found = list(troubles(WORST))
    assert len(found) == 6
    assert [trouble for trouble in found if trouble.means.lower() not in page] == []


def test_words_from_elsewhere_cannot_steer_the_terminal() -> None:
    evil = "\x1b[2J\x9b\r\x07"
    worst = replace(
        WELL,
        store_trouble=evil,
        configuration=ConfigurationStatus("", 0.0, f"{evil}\n{evil}"),
        unresolved=(UnresolvedStatus(evil, evil, False, evil),),
    )
    assert not set(text(terminal.overview(worst))) & set("\x1b\x9b\r\x07")
