from __future__ import annotations

from pathlib import Path

import pytest

from gates.settings import SettingsError, load
from gates.settings.slicing import is_redacted
from proxy.snapshot import RecordPolicy, Slice

SOUND = """\
models:
  fraud_detector:
    servers: {"40": [http://127.0.0.1:5001]}
    champion: "40"
    slices:
      country: {header: X-Country}
      tier: {json: customer.tier, most: 3}
    gates:
      agreement: {min: 98%}
      by_tier: {metric: agreement, min: 90%, by: tier}
      by_country: {metric: error_rate, max: 5%, by: country}
"""


def problems(tmp_path: Path, text: str) -> str:
    file = tmp_path / "penstock.yaml"
    file.write_text(text)
    with pytest.raises(SettingsError) as caught:
        load(file)
    return str(caught.value)


def test_slices_and_the_gates_by_them(tmp_path: Path) -> None:
    file = tmp_path / "penstock.yaml"
    file.write_text(SOUND)
    (model,) = load(file).models
    assert model.slices == (Slice("country", "header", "x-country", 20), Slice("tier", "json", "customer.tier", 3))
    assert {gate.name: (gate.by, gate.values) for gate in model.gates} == {
        "agreement": ("", 0),
        "by_tier": ("tier", 4),
        "by_country": ("country", 21),
    }


def test_a_gate_by_a_slice_that_is_not_there_is_told_which_are(tmp_path: Path) -> None:
    told = problems(tmp_path, SOUND.replace("by: tier}", "by: teir}"))
    assert "penstock.yaml:10: models.fraud_detector.gates.by_tier.by: there is no slice teir" in told
    assert "slices are: country, tier" in told


def test_a_slice_goes_by_one_thing(tmp_path: Path) -> None:
    assert "expected one of header and json" in problems(tmp_path, SOUND.replace("{header: X-Country}", "{most: 4}"))


@pytest.mark.parametrize("fields", ["customer", "customer.tier", "'**.tier'", "'*.tier'"])
def test_a_slice_of_what_is_redacted_is_refused(tmp_path: Path, fields: str) -> None:
    redact = f"    agreement: {{disagreements: {{redact: {{fields: [{fields}]}}}}}}\n    slices:"
    told = problems(tmp_path, SOUND.replace("    slices:", redact))
    assert "slices.tier: its values would be told, and they are credentials or to be redacted" in told


def test_what_is_redacted_goes_by_the_path_from_its_first_key_on() -> None:
    tier = Slice("tier", "json", "customer.tier")
    assert not is_redacted(tier, RecordPolicy(fields=("customer.name", "tier", "customer.tier.x")))
    assert is_redacted(Slice("key", "header", "authorization"), RecordPolicy())
    assert is_redacted(Slice("user", "header", "x-user"), RecordPolicy(headers=("x-user",)))
    assert not is_redacted(Slice("user", "header", "x-user"), RecordPolicy(fields=("x-user",)))
