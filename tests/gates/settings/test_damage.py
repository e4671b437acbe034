"""Any damage to a file gives lawful settings or an error that can be shown to anybody."""

from __future__ import annotations

import copy
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gates.settings import ModelSettings, Settings, SettingsError
from proxy.snapshot import ModelRoute, Origin, Snapshot, Target
from tests.gates.settings.files import MINIMAL, Load, problems_of, settings_or_problems

SHIPPED = Path(__file__).parents[3] / "config" / "penstock.yaml"
CANARY = "c4n4ry"


@pytest.mark.parametrize(
    "text",
    [
        "store: mysql://u:{}@h/db",
        "store: [postgresql+psycopg://u:{}@h/db]",
        "store: postgresql+psycopg://u:{}@h:x/db",
        "mlflow: http://u:{}@h",
        "mlflow: {{tracking_uri: 'u:{}@h'}}",
        "mlflow: {{registry_uri: ['http://u:{}@h']}}",
        "models: {{a: {{champion: 1, servers: {{1: ['http://u:{}@h']}}}}}}",
        "models: {{a: {{champion: 1, servers: {{1: 'http://u:{}@h'}}}}}}",
        "models: {{a: {{champion: 1, servers: 'http://u:{}@h'}}}}",
        "store: postgresql+psycopg://u:{}@h/db: x",
    ],
)
def test_no_password_gets_into_an_error(loaded: Load, text: str) -> None:
    with pytest.raises(SettingsError) as caught:
        loaded(text.format(CANARY))
    assert CANARY not in str(caught.value)


def test_no_password_gets_into_the_repr(loaded: Load) -> None:
    settings = loaded(
        f"models: {{}}\nstore: postgresql+psycopg://u:{CANARY}@h/db\n"
        f"mlflow: {{tracking_uri: 'http://u:{CANARY}@h', registry_uri: 'http://u:{CANARY}@h'}}\n"
    )
    assert CANARY in settings.store
    assert CANARY not in repr(settings)


def test_half_a_file_is_an_error(loaded: Load) -> None:
    whole = MINIMAL.rstrip()
    for length in range(len(whole)):
        assert problems_of(loaded, whole[:length])
    assert loaded(whole).models


def paths(value: object, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    items: list[tuple[str | int, object]] = []
    if isinstance(value, dict):
        items = list(value.items())
    if isinstance(value, list):
        items = list(enumerate(value))
    return [path, *(below for step, item in items for below in paths(item, (*path, step)))]


TREE = {
    "listen": "127.0.0.1:8080",
    "mlflow": {"experiment": "x"},
    "models": {
        "a": {
            "match": {"path_prefix": "/a", "host": "a.example", "header": {"x-model": "a"}},
            "servers": {"40": ["http://127.0.0.1:5001"], "42": ["http://127.0.0.1:5002"]},
            "champion": "40",
            "candidate": "@candidate",
            "sticky": {"header": "x-user-id"},
            "timeout": "2s",
            "health": {"path": "/ping", "interval": "5s", "unhealthy_after": 3},
            "max_concurrent": 8,
            "shadow": {"percent": 100, "max_in_flight": 256, "max_bytes": "64MiB"},
            "agreement": {"kind": "auto", "tolerance": {"relative": 0.01}},
            "plan": {"shadow": {"min_requests": 5}, "steps": [{"percent": 1, "approval": True}, {"percent": 100}]},
            "gates": {"latency": {"quantile": "p99", "max": "250ms", "severity": "advisory"}},
            "budget": {"false_alarm": "1%"},
        },
        "b": {"servers": {"1": ["http://h"]}, "champion": 1},
    },
}
ODD = (
    st.sampled_from(
        [None, "", "1%", "100%", "p50", "0ms", "1s", "@x", "/", "/a", "error_rate", "42", 0, 1, 100, 0.005, 1e308]
    )
    | st.booleans()
    | st.integers(-(2**56), 2**56)
    | st.sampled_from([[], {}, [{}], [[]], {"a": 1}, {"metric": "latency"}, [{"percent": 100}]])
    | st.text(st.characters(categories=["L", "N", "P", "S"]), max_size=10)
)


@given(changes=st.lists(st.tuples(st.sampled_from(paths(TREE)), ODD), min_size=1, max_size=4))
def test_any_change_gives_lawful_settings_or_a_settings_error(
    tmp_path_factory: pytest.TempPathFactory, changes: list[tuple[tuple[str | int, ...], object]]
) -> None:
    """What is accepted can be routed: each model makes a lawful route, and all together a lawful snapshot."""
    tree: object = copy.deepcopy(TREE)
    for path, odd in changes:
        tree = changed(tree, path, odd)
    file = tmp_path_factory.getbasetemp() / "penstock.yaml"
    file.write_text(json.dumps(tree, ensure_ascii=False, indent=1))
    outcome = settings_or_problems(file)
    if isinstance(outcome, Settings):
        assert len(Snapshot(1, tuple(map(route_of, outcome.models))).by_model) == len(outcome.models)
    else:
        assert outcome
        assert all(problem.line and problem.message for problem in outcome)


def changed(value: object, path: tuple[str | int, ...], odd: object) -> object:
    """The value with `odd` at `path`, or as it is where an earlier change took the path away."""
    if not path:
        return copy.deepcopy(odd)
    step = path[0]
    if isinstance(value, dict) and step in value:
        value[step] = changed(value[step], path[1:], odd)
    if isinstance(value, list) and isinstance(step, int) and step < len(value):
        value[step] = changed(value[step], path[1:], odd)
    return value


def route_of(model: ModelSettings) -> ModelRoute:
    def target(version: str) -> Target:
        return Target(version, model.servers.get(version, (Origin("resolved", 1),)))

    return ModelRoute(
        model=model.name,
        path_prefix=model.path_prefix,
        champion=target(model.champion),
        candidate=target(model.candidate) if model.candidate else None,
        ramp_bp=model.plan.steps[-1].share_bp if model.candidate else 0,
        sticky=model.sticky,
        timeout=model.timeout,
        max_body=model.max_body,
        buffer=model.buffer,
        shadow=model.shadow,
        agreement=model.agreement,
        host=model.host,
        header=model.header,
        health=model.health,
        max_concurrent=model.max_concurrent,
    )


@given(cut=st.integers(0, SHIPPED.stat().st_size), junk=st.binary(max_size=20))
def test_any_damage_to_the_shipped_file_is_survived(
    tmp_path_factory: pytest.TempPathFactory, cut: int, junk: bytes
) -> None:
    folder = tmp_path_factory.getbasetemp() / "damaged"
    (folder / "gates").mkdir(parents=True, exist_ok=True)
    (folder / "gates" / "default.yaml").write_bytes((SHIPPED.parent / "gates" / "default.yaml").read_bytes())
    whole = SHIPPED.read_bytes()
    (folder / "penstock.yaml").write_bytes(whole[:cut] + junk + whole[cut + len(junk) :])
    assert settings_or_problems(folder / "penstock.yaml")
