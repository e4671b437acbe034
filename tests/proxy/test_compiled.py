"""Whether these tests run on the source or on the compiled hot path: never on the other one by mistake."""

from __future__ import annotations

import os
import subprocess
import sys

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
