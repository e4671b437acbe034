"""The load's shapes, bodies and figures; that it loads anything is shown in tests/gates/cli/test_gate_staging.py."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from gates.shipped import shipped

# Locust changes the process that imports it (gevent), so what it is asked is asked in another.
ASK = """
import importlib.util, json, sys
spec = importlib.util.spec_from_file_location("model_load", sys.argv[1])
load = importlib.util.module_from_spec(spec)
spec.loader.exec_module(load)
figures = load.Figures()
for milliseconds in range(100, 0, -1):
    figures.note(milliseconds, None if milliseconds > 3 else OSError())
print(json.dumps({
    "shapes": {s: [load.share_at(s, part / 10) for part in range(11)] for s in ("steady", "ramp", "spike")},
    "bodies": [body.decode() for body in load.bodies(sys.argv[2])],
    "none": load.bodies("")[0].decode(),
    "summary": figures.summary(),
    "empty": load.Figures().summary(),
}))
"""


def test_shapes_bodies_and_figures(tmp_path: Path) -> None:
    payload = tmp_path / "bodies.jsonl"
    payload.write_text('{"inputs": [1]}\n\n{"inputs": [2]}\n')
    said = subprocess.run(
        [sys.executable, "-c", ASK, str(shipped("loadtests/model_load.py")), str(payload)],
        capture_output=True,
        text=True,
        check=True,
    )
    told = json.loads(said.stdout)
    assert told["shapes"]["steady"] == [1.0] * 11
    assert told["shapes"]["ramp"][0] == 0.0
    assert told["shapes"]["ramp"][8:] == [1.0] * 3
    assert told["shapes"]["spike"] == [0.2] * 4 + [1.0] * 2 + [0.2] * 5
    assert told["bodies"] == ['{"inputs": [1]}', '{"inputs": [2]}']
    assert json.loads(told["none"]) == {"inputs": [[0.0]]}
    summary = told["summary"]
    assert (summary["requests"], summary["failures"]) == (100, 3)
    assert summary["latencies"] == {"0.5": 0.051, "0.95": 0.096, "0.99": 0.1}
    assert told["empty"]["latencies"] == {"0.5": None, "0.95": None, "0.99": None}
