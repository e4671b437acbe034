from __future__ import annotations

import math
import os
import subprocess
import sys
from dataclasses import replace

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.routing import assign, bucket_of, unit_of
from proxy.snapshot import BASIS_POINTS, ModelRoute, Origin, ShadowPolicy, Sticky, Target
from tests.strategies import json_values, names, shares

CHAMPION = Target("1", (Origin("127.0.0.1", 8001),))
CANDIDATE = Target("2", (Origin("127.0.0.1", 8002),))
ROUTE = ModelRoute("m", "/", CHAMPION, CANDIDATE, salt="rollout-7")
SAMPLE = 20_000
KEYS = [f"user-{number}".encode() for number in range(SAMPLE)]


@given(st.binary(), shares, shares, names)
def test_raising_the_ramp_never_moves_a_unit_back(key: bytes, one: int, other: int, salt: str) -> None:
    low, high = sorted((one, other))
    before = assign(replace(ROUTE, ramp_bp=low, salt=salt), key)
    after = assign(replace(ROUTE, ramp_bp=high, salt=salt), key)
    assert before.variant == "champion" or after.variant == "candidate"


@given(st.binary(), shares)
def test_a_bucket_below_the_ramp_is_the_candidates(key: bytes, ramp: int) -> None:
    made = assign(replace(ROUTE, ramp_bp=ramp), key)
    assert (made.variant == "candidate") == (bucket_of(ROUTE.salt, key) < ramp)
    assert made.target == (CANDIDATE if made.variant == "candidate" else CHAMPION)
    assert made.shadow == (CHAMPION if made.variant == "candidate" else CANDIDATE)
    assert made.shadow_variant != made.variant


@given(st.binary())
def test_the_ramp_ends_just_below_the_bucket_of_its_size(key: bytes) -> None:
    bucket = bucket_of(ROUTE.salt, key)
    variants = [assign(replace(ROUTE, ramp_bp=ramp), key).variant for ramp in (bucket, bucket + 1)]
    assert variants == ["champion", "candidate"]


@given(st.binary(), shares)
def test_without_a_candidate_the_champion_serves_and_nothing_is_copied(key: bytes, share: int) -> None:
    made = assign(replace(ROUTE, candidate=None, shadow=ShadowPolicy(share_bp=share)), key)
    assert (made.variant, made.target, made.shadow) == ("champion", CHAMPION, None)


def test_every_unit_has_the_same_bucket_in_another_process() -> None:
    """Another hash seed, so that nothing that depends on hash() could pass."""
    ours = [bucket_of("rollout-7", key) for key in KEYS[:200]]
    program = "import sys, msgspec; from proxy.routing import bucket_of; keys = sys.argv[1].split(',')\n"
    program += "print(msgspec.json.encode([bucket_of('rollout-7', key.encode()) for key in keys]).decode())"
    for seed in ("1", "2"):
        theirs = subprocess.run(
            [sys.executable, "-c", program, b",".join(KEYS[:200]).decode()],
            env={**os.environ, "PYTHONHASHSEED": seed},
            check=True,
            capture_output=True,
            timeout=60,
        )
        assert msgspec.json.decode(theirs.stdout) == ours


def test_a_bucket_never_changes_between_releases() -> None:
    """A ramp that is under way while workers are replaced must not shuffle its units."""
    assert [bucket_of("rollout-7", key) for key in (b"", b"user-1", b"user-2")] == [3860, 5186, 686]


def _within_binomial_error(count: int, share: float) -> bool:
    """Five standard deviations: a fair draw is outside once in about two million runs; the keys are fixed anyway."""
    return abs(count - SAMPLE * share) <= 5 * math.sqrt(SAMPLE * share * (1 - share))


@pytest.mark.parametrize("ramp", [1, 100, 500, 1000, 2500, 5000, 9999])
def test_the_share_is_the_ramp_within_binomial_error(ramp: int) -> None:
    route = replace(ROUTE, ramp_bp=ramp)
    served = sum(assign(route, key).variant == "candidate" for key in KEYS)
    assert _within_binomial_error(served, ramp / BASIS_POINTS)


@pytest.mark.parametrize("ramp", [0, 1000, 5000])
def test_the_copied_share_is_independent_of_the_split(ramp: int) -> None:
    route = replace(ROUTE, ramp_bp=ramp, shadow=ShadowPolicy(share_bp=2000))
    made = [assign(route, key) for key in KEYS]
    copied = [one for one in made if one.shadow is not None]
    assert _within_binomial_error(len(copied), 0.2)
    of_candidate = sum(one.variant == "candidate" for one in copied)
    assert _within_binomial_error(of_candidate, 0.2 * ramp / BASIS_POINTS)


def test_a_new_salt_shuffles_the_units() -> None:
    before, after = (replace(ROUTE, ramp_bp=5000, salt=salt) for salt in ("one", "two"))
    stayed = sum(assign(before, key).variant == assign(after, key).variant for key in KEYS)
    assert _within_binomial_error(stayed, 0.5)


FIELDS = [(b"cookie", b"a=1; session=s-7"), (b"x-user-id", b"u-7"), (b"cookie", b"late=yes")]


@pytest.mark.parametrize(
    ("sticky", "unit"),
    [
        (Sticky(), b"request"),
        (Sticky("header", "x-user-id"), b"u-7"),
        (Sticky("header", "X-User-Id"), b"u-7"),
        (Sticky("header", "x-other"), b"request"),
        (Sticky("cookie", "session"), b"s-7"),
        (Sticky("cookie", "a"), b"1"),
        (Sticky("cookie", "late"), b"yes"),
        (Sticky("cookie", "sess"), b"request"),
        (Sticky("json", "user.id"), b"42"),
        (Sticky("json", "user.name"), "zoë".encode()),
        (Sticky("json", "user.vip"), b"True"),
        (Sticky("json", "user"), b"request"),
        (Sticky("json", "user.none"), b"request"),
        (Sticky("json", "user.id.deeper"), b"request"),
        (Sticky("json", "rows.0"), b"request"),
    ],
    ids=str,
)
def test_the_unit_is_the_sticky_key_or_else_the_request(sticky: Sticky, unit: bytes) -> None:
    body = '{"user": {"id": 42, "name": "zoë", "vip": true, "none": null}, "rows": [1]}'.encode()
    assert unit_of(sticky, FIELDS, body, b"request") == unit


@given(st.binary() | json_values.map(msgspec.json.encode), st.text(min_size=1))
@settings(max_examples=200)
def test_any_body_has_a_unit(body: bytes, path: str) -> None:
    assert unit_of(Sticky("json", path), FIELDS, body, b"request")


def test_a_body_nested_beyond_reason_has_the_requests_unit() -> None:
    assert unit_of(Sticky("json", "a"), FIELDS, b"[" * 100_000, b"request") == b"request"
