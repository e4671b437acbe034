"""What models are found by, as an operator writes it; what could be for two models is refused, with both named."""

from __future__ import annotations

from pathlib import Path

import pytest

from gates.settings import ModelSettings, SettingsError, load
from gates.settings.problems import Problem
from proxy.snapshot import HeaderMatch


def models(tmp_path: Path, *matches: str) -> tuple[ModelSettings, ...]:
    """Models a, b and so on, with these matches, one on each line from the second on."""
    lines = [
        f"  {name}: {{servers: {{1: [http://h]}}, champion: 1{match and f', match: {match}'}}}"
        for name, match in zip("abc", matches, strict=False)
    ]
    file = tmp_path / "penstock.yaml"
    file.write_text("\n".join(["models:", *lines]))
    return load(file).models


def problem(tmp_path: Path, *matches: str) -> Problem:
    with pytest.raises(SettingsError) as raised:
        models(tmp_path, *matches)
    (found,) = raised.value.problems
    return found


def test_a_model_is_found_by_all_that_is_named(tmp_path: Path) -> None:
    (model,) = models(tmp_path, "{path_prefix: /v1, host: Fraud.example.com, header: {X-Model: 7}}")
    assert (model.path_prefix, model.host) == ("/v1", "fraud.example.com")
    assert model.header == HeaderMatch("x-model", "7")


@pytest.mark.parametrize(
    "matches",
    [
        ("{host: a.example}", "{host: b.example}", ""),
        ("{header: {x-model: a}}", "{header: {x-model: b}}", ""),
        ("{path_prefix: /a, header: {x-a: a}}", "{path_prefix: /b, header: {x-b: a}}"),
        ("{host: a.example, header: {x-a: a}}", "{header: {x-b: a}}"),
        ("{path_prefix: /a}", "{path_prefix: /a/b}", "{path_prefix: /a, host: a.example}"),
    ],
)
def test_models_may_share_what_something_else_tells_apart(tmp_path: Path, matches: tuple[str, ...]) -> None:
    assert len(models(tmp_path, *matches)) == len(matches)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("{host: a.example}", "{host: A.Example}"),
        ("{header: {x-model: 1}}", '{header: {X-Model: "1"}}'),
        ("{path_prefix: /a, host: h}", "{host: h, path_prefix: /a/}"),
    ],
)
def test_two_models_that_match_the_same_are_refused(tmp_path: Path, one: str, other: str) -> None:
    found = problem(tmp_path, one, other)
    assert (found.line, found.key) == (3, "models.b.match")
    assert found.message == "models.a matches the same requests"


def test_two_headers_at_one_place_are_refused_as_a_request_can_have_both(tmp_path: Path) -> None:
    found = problem(tmp_path, "{header: {x-a: 1}}", "{header: {x-b: 1}}")
    assert (found.line, found.key) == (3, "models.b.match.header")
    assert found.message == "models.a has the same host and path, and is found by x-a; a request can have both"


@pytest.mark.parametrize(
    ("match", "key", "said"),
    [
        ("{header: {x-a: 1, x-b: 2}}", "match.header", "expected one header and its value, such as {x-model: fraud}"),
        ("{header: {}}", "match.header", "expected one header and its value, such as {x-model: fraud}"),
        ("{header: {a b: 1}}", "match.header.'a b'", "expected a header's name"),
        ("{header: {x-a: ' '}}", "match.header.x-a", "expected a header's value"),
        ("{header: x-a}", "match.header", "expected a mapping, found a text"),
        ("{host: 'h:80'}", "match.host", "expected a host without a port, such as fraud.example.com"),
        ("{host: '*.example.com'}", "match.host", "expected a host without a port"),
        ("{hots: h}", "match.hots", "unknown key; did you mean host?"),
    ],
)
def test_what_no_request_can_have_is_refused(tmp_path: Path, match: str, key: str, said: str) -> None:
    found = problem(tmp_path, match)
    assert (found.key, found.line) == (f"models.a.{key}", 2)
    assert said in found.message
