"""`penstock gate live` with the shipped go/no-go file, against a real Prometheus that scrapes an exporter."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from gates.cli import run
from gates.exits import Exit
from tests.prometheus import Exporter, PrometheusServer, history, labelled, require_programs
from tests.servers import eventually

GATES = Path(__file__).parents[3] / "config" / "gates" / "llm-service.yaml"
OK, FAILED = 'http_requests_total{status="200"}', 'http_requests_total{status="503"}'
BRIEFS, FIXED = "llm_brief_total", "llm_schema_fix_count_total"
CORES = {mode: f'node_cpu_seconds_total{{cpu="0",mode="{mode}"}}' for mode in ("idle", "user")}
REWARD, LOSS = 'rl_reward_ma{window="100"}', 'rl_loss{loss_type="total_loss"}'


def bucket(mode: str, le: str) -> str:
    return f'llm_brief_latency_seconds_bucket{{mode="{mode}",le="{le}"}}'


def cache(what: str, mode: str) -> str:
    return f'cache_{what}_total{{mode="{mode}"}}'


GAUGES = {
    REWARD: 12.45,
    LOSS: 0.45,
    "node_memory_MemAvailable_bytes": 60e9,
    "node_memory_MemTotal_bytes": 100e9,
    "gpu_memory_free_bytes": 10e9,
    "gpu_memory_total_bytes": 24e9,
}
GROWTH = {
    OK: 1000.0,
    FAILED: 1.0,
    BRIEFS: 100.0,
    FIXED: 0.0,
    CORES["idle"]: 60.0,
    CORES["user"]: 40.0,
    **{bucket(mode, le): 100.0 for mode in ("fast", "balanced", "creative") for le in ("2", "10", "+Inf")},
    **{cache("requests", mode): 100.0 for mode in ("fast", "balanced")},
    **{cache("hits", mode): 80.0 for mode in ("fast", "balanced")},
}
HOURS = 2.5
POINTS = HOURS * 240


Past = Callable[[float], float]
"""A series, as a function of the seconds before now."""


def steady(value: float) -> Past:
    return lambda back: value


def growing(by: float) -> Past:
    return lambda back: by * (POINTS - back / 15)


def past(target: str, **changed: Past) -> str:
    """The healthy past, but for the `changed` series."""
    series = {name: steady(value) for name, value in GAUGES.items()}
    series |= {name: growing(by) for name, by in GROWTH.items()}
    known = {"reward": REWARD, "creative": bucket("creative", "2")}
    series |= {known[name]: value for name, value in changed.items()}
    return history({labelled(name, target): value for name, value in series.items()}, HOURS, time.time())


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Exporter, str]]:
    """An exporter with a healthy past, and the server that scrapes it."""
    require_programs()
    begun = {name: by * POINTS for name, by in GROWTH.items()}
    with Exporter(GAUGES, GROWTH, begun) as exporter:
        folder = tmp_path_factory.mktemp("prometheus")
        with PrometheusServer(folder, [exporter.target], past(exporter.target)) as server:
            yield exporter, server.url


def report(url: str, folder: Path) -> dict[str, dict[str, Any]]:
    file = folder / "report.json"
    assert run(["gate", "live", "--gates", str(GATES), "--prometheus-url", url, "--output", str(file)]) == Exit.GO
    (stage,) = json.loads(file.read_text())["stages"]
    return {gate["gate"]: gate for gate in stage["gates"]}


def verdicts(url: str, folder: Path) -> dict[str, str]:
    return {name: gate["verdict"] for name, gate in report(url, folder).items()}


def failing(url: str, folder: Path) -> set[str]:
    return {name for name, verdict in verdicts(url, folder).items() if verdict != "PASS"}


def light_is(url: str, exit: Exit) -> None:
    """In the end: a scrape that has no time makes a moment without data."""
    asked = ["gate", "live", "--gates", str(GATES), "--prometheus-url", url, "--strict"]
    eventually(lambda: run(asked) == exit)


def test_all_twelve_are_go(live: tuple[Exporter, str], tmp_path: Path, capfd: Any) -> None:
    _, url = live
    eventually(lambda: not failing(url, tmp_path))
    assert len(report(url, tmp_path)) == 12
    light_is(url, Exit.GO)
    assert "🟢 GO (12 gates)" in capfd.readouterr().out


def surge(exporter: Exporter, part: str, whole: str, share: float, traffic: float) -> None:
    """So much new traffic that the rate over five minutes is that of the last scrapes."""
    exporter.growth[whole] = traffic
    exporter.growth[part] = traffic * share


@pytest.mark.parametrize(
    ("gate", "part", "whole", "bad", "good", "exit"),
    [
        ("api_error_rate", FAILED, OK, 0.01, 0.001, Exit.NO_GO),
        ("fast_latency", bucket("fast", "2"), bucket("fast", "10"), 0.5, 1.0, Exit.NO_GO),
        ("balanced_latency", bucket("balanced", "2"), bucket("balanced", "10"), 0.5, 1.0, Exit.NO_GO),
        ("fast_cache_hits", cache("hits", "fast"), cache("requests", "fast"), 0.5, 0.8, Exit.WARNING),
        ("balanced_cache_hits", cache("hits", "balanced"), cache("requests", "balanced"), 0.5, 0.8, Exit.WARNING),
        ("cpu", CORES["idle"], CORES["user"], 0.1, 2.0, Exit.WARNING),
    ],
)
def test_each_rate_alone_turns_its_light(
    live: tuple[Exporter, str], tmp_path: Path, gate: str, part: str, whole: str, bad: float, good: float, exit: Exit
) -> None:
    exporter, url = live
    both = [whole, *([whole.replace('"10"', '"+Inf"')] if "bucket" in whole else [])]
    for share, traffic, expected in ((bad, 1e6, {gate}), (good, 1e9, set())):
        for name in both:
            surge(exporter, part, name, share, traffic)
        eventually(lambda expected=expected: failing(url, tmp_path) == expected)  # type: ignore[misc]
        if expected:
            light_is(url, exit)


@pytest.mark.parametrize(
    ("gate", "series", "bad", "exit"),
    [
        ("memory", "node_memory_MemAvailable_bytes", 10e9, Exit.WARNING),
        ("vram_headroom", "gpu_memory_free_bytes", 4e9, Exit.WARNING),
        ("rl_loss_runaway", LOSS, 2.1, Exit.NO_GO),
        ("rl_loss_runaway", LOSS, 1.5, Exit.NO_GO),
    ],
)
def test_each_gauge_alone_turns_its_light(
    live: tuple[Exporter, str], tmp_path: Path, gate: str, series: str, bad: float, exit: Exit
) -> None:
    """A loss of 1.5 is under its limit of 2.0, and over three times its baseline of 0.45."""
    exporter, url = live
    exporter.gauges[series] = bad
    eventually(lambda: failing(url, tmp_path) == {gate})
    light_is(url, exit)
    exporter.gauges[series] = GAUGES[series]
    eventually(lambda: not failing(url, tmp_path))


def test_a_breach_that_has_just_begun_is_neither_go_nor_no_go(live: tuple[Exporter, str], tmp_path: Path) -> None:
    exporter, url = live
    for le in ("10", "+Inf"):
        surge(exporter, bucket("creative", "2"), bucket("creative", le), 0.5, 1e6)
    eventually(lambda: failing(url, tmp_path) == {"creative_latency"})
    eventually(lambda: "300 s outside fail" in report(url, tmp_path)["creative_latency"]["reason"])
    assert verdicts(url, tmp_path)["creative_latency"] == "INSUFFICIENT"
    for le in ("10", "+Inf"):
        surge(exporter, bucket("creative", "2"), bucket("creative", le), 1.0, 1e9)
    eventually(lambda: not failing(url, tmp_path))


def test_a_single_schema_failure_is_no_go(live: tuple[Exporter, str], tmp_path: Path) -> None:
    """It stays one for five minutes: so it comes last."""
    exporter, url = live
    exporter.growth[FIXED] = 1.0
    eventually(lambda: failing(url, tmp_path) == {"schema_failures"})
    exporter.growth[FIXED] = 0.0
    light_is(url, Exit.NO_GO)


def of_the_past(folder: Path, **changed: Callable[[float], float]) -> dict[str, dict[str, Any]]:
    require_programs()
    with PrometheusServer(folder, past=past("127.0.0.1:1", **changed)) as server:
        return report(server.url, folder)


def test_five_minutes_of_high_latency_are_no_go(tmp_path: Path) -> None:
    """Half of the creative answers were slow in the last quarter of an hour."""

    def creative(back: float) -> float:
        return 100 * (POINTS - back / 15) if back > 900 else 100 * (POINTS - 60) + 50 * (60 - back / 15)

    gates = of_the_past(tmp_path, creative=creative)
    assert {name for name, gate in gates.items() if gate["verdict"] != "PASS"} == {"creative_latency"}
    assert gates["creative_latency"]["verdict"] == "FAIL"
    assert gates["creative_latency"]["value"] > 4.5


def test_a_reward_that_falls_for_two_hours_is_no_go(tmp_path: Path) -> None:
    gates = of_the_past(tmp_path, reward=lambda back: 10.0 + 4.0 * min(back, 7200) / 7200)
    assert {name for name, gate in gates.items() if gate["verdict"] != "PASS"} == {"rl_reward_trend"}
    assert "falls by 33" in gates["rl_reward_trend"]["reason"]


def test_no_data_is_a_warning_and_says_so(tmp_path: Path, capfd: Any) -> None:
    require_programs()
    with PrometheusServer(tmp_path) as server:
        gates = report(server.url, tmp_path)
        asked = ["gate", "live", "--gates", str(GATES), "--prometheus-url", server.url]
        assert run([*asked, "--strict"]) == Exit.WARNING
        wrong = tmp_path / "wrong.yaml"
        wrong.write_text("live: {a: {metric: prometheus, query: 'sum(', max: 1}}")
        assert run(["gate", "live", "--gates", str(wrong), "--prometheus-url", server.url]) == Exit.UNAVAILABLE
    assert {gate["verdict"] for gate in gates.values()} == {"INSUFFICIENT"}
    assert {gate["reason"] for gate in gates.values()} == {"no data"}
    assert "parse error" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("asked", "exit", "cause"),
    [
        (["--gates", str(GATES), "--prometheus-url", "http://127.0.0.1:1"], Exit.UNAVAILABLE, "does not answer"),
        (["--gates", str(GATES)], Exit.CONFIGURATION, "no server is named"),
        (["--gates", str(GATES.parent / "promotion.yaml")], Exit.CONFIGURATION, "no gates under `live`"),
        (["--gates", "nowhere.yaml"], Exit.CONFIGURATION, "nowhere.yaml"),
        (["--model", "nobody"], Exit.REFUSED, "no model 'nobody'"),
    ],
)
def test_what_keeps_it_from_a_verdict(asked: list[str], exit: Exit, cause: str, capfd: Any) -> None:
    assert run(["gate", "live", *asked, "--strict"]) == exit
    assert cause in capfd.readouterr().err
