"""Whether these tests run on the source or on the compiled hot path: never on the other one by mistake."""

from __future__ import annotations

import ast
import os
import subprocess
import sys

from proxy.disagreements import Disagreement
from proxy.histogram import Histogram
from proxy.outputs import OutputTally
from proxy.push import Sample
from proxy.snapshot import ModelRoute
from proxy.window import Window
from tests.workers import ROOT

WANTED = ".so" if os.environ.get("PENSTOCK_COMPILED") else ".py"


def test_the_tests_run_on_what_they_are_meant_to_run_on() -> None:
    from proxy import dataplane

    assert dataplane.__file__.endswith(WANTED)


def test_and_so_do_the_workers_that_they_start() -> None:
    said = subprocess.run(
        [sys.executable, "-c", "from proxy import dataplane; print(dataplane.__file__)"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )

    assert said.stdout.strip().endswith(WANTED)


def test_classes_keep_their_annotations() -> None:
    """By them msgspec reads the planes' messages; of its own, a compiled class says `dict` for `dict[str, int]`."""
    for cls in (Histogram, OutputTally, Sample, Window, ModelRoute, Disagreement):
        written = _as_written(cls)
        assert written
        assert {name: annotation for name, annotation in cls.__annotations__.items() if name in written} == written


def _as_written(cls: type) -> dict[str, str]:
    module = ROOT / f"{cls.__module__.replace('.', '/')}.py"
    (found,) = (s for s in ast.parse(module.read_text()).body if isinstance(s, ast.ClassDef) and s.name == cls.__name__)
    return {ast.unparse(s.target): ast.unparse(s.annotation) for s in found.body if isinstance(s, ast.AnnAssign)}
