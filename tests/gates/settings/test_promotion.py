"""Promotion gates within the whole configuration: a rollout is held to those of `live` and `production`."""

from __future__ import annotations

import pytest

from gates.outside import OutsideGate
from tests.gates.settings.files import MINIMAL, Load, problems_of

LOSS = "{metric: prometheus, query: loss, max: 2}"
PROMETHEUS = "prometheus: http://p:9090\n"


def model(promotion: str, gates: str = "{error_rate: {max: 1%}}") -> str:
    return f"{MINIMAL}    gates: {gates}\n    promotion: {promotion}\n"


def test_what_each_does_in_a_rollout(loaded: Load) -> None:
    production = "{period: {metric: shadow_period}, accuracy: {}, lift: {outcome: sold}, sla_violations: {}, "
    production += f"approvals: {{}}, cost: {LOSS}}}"
    settings = loaded(PROMETHEUS + model(f"{{live: {{loss: {LOSS}}}, production: {production}}}"))
    under_way = [each.gate for each in settings.models[0].promotion.under_way]
    assert {gate.name: (gate.watches, gate.holds) for gate in under_way} == {
        "loss": ("all", "all"),
        "period": (None, "shadow"),
        "accuracy": ("all", "bake"),
        "lift": ("all", "bake"),
        "sla_violations": (None, "bake"),
        "approvals": (None, "bake"),
        "cost": ("bake", "bake"),
    }


def test_a_changed_rule_is_another_gate(loaded: Load) -> None:
    def gate(limit: int) -> OutsideGate:
        live = f"{{live: {{loss: {{metric: prometheus, query: loss, max: {limit}}}}}}}"
        (made,) = loaded(PROMETHEUS + model(live)).models[0].promotion.under_way
        return made.gate

    assert gate(2) == gate(2)
    assert gate(2) != gate(3)


@pytest.mark.parametrize(
    ("text", "key", "said"),
    [
        (PROMETHEUS + model(f"{{live: {{error_rate: {LOSS}}}}}"), "promotion.live.error_rate", "in gates already"),
        (
            PROMETHEUS + model(f"{{live: {{cost: {LOSS}}}, production: {{cost: {LOSS}}}}}"),
            "promotion.production.cost",
            "in promotion.live already",
        ),
        (model(f"{{live: {{loss: {LOSS}}}}}"), "promotion.live.loss", "no server is named: add the key prometheus"),
        (model(f"{{production: {{loss: {LOSS}}}}}"), "promotion.production.loss", "no server is named"),
    ],
)
def test_what_no_rollout_could_be_held_to_is_refused(loaded: Load, text: str, key: str, said: str) -> None:
    (problem,) = problems_of(loaded, text)
    assert problem.key == f"models.fraud.{key}"
    assert said in problem.message


def test_staging_may_ask_a_server_that_the_command_names(loaded: Load) -> None:
    assert loaded(model(f"{{staging: {{loss: {LOSS}}}}}")).models[0].promotion.staging
