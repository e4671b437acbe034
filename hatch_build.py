"""The wheel's build: with PENSTOCK_COMPILE=1 it holds the hot path compiled by mypyc, beside the same source.

Compiled or not, it is the same Python, with the same tests; compiled, a request costs about half.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

HOT = (
    *("brake", "budget", "comparer", "comparison/near", "connection", "cycle", "dataplane", "gateway", "headers"),
    *("location", "mirror", "routing", "slices", "strand", "throttle", "units", "upload", "upstream", "windows"),
)
"""The modules of `proxy` that a request passes through. What stands in the planes' messages is left as it is, since
msgspec reads its annotations; so is the closer look of the comparison, whose numbers may be whole or not as they
please."""


class CompileHook(BuildHookInterface):  # type: ignore[type-arg]
    """Adds the compiled modules to a wheel. Raises CalledProcessError where mypyc or the C compiler does."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if version == "editable" or os.environ.get("PENSTOCK_COMPILE", "0") == "0":
            return
        self._folder = TemporaryDirectory(prefix="penstock-compile-")
        workshop = Path(self._folder.name)
        shutil.copytree(Path(self.root) / "proxy", workshop / "proxy")
        shutil.copy(Path(self.root) / "pyproject.toml", workshop)  # mypy's settings
        subprocess.run([sys.executable, "-m", "mypyc", *(f"proxy/{name}.py" for name in HOT)], cwd=workshop, check=True)
        for module in workshop.rglob("*.so"):
            if "build" not in module.relative_to(workshop).parts:
                build_data["force_include"][str(module)] = str(module.relative_to(workshop))
        build_data["pure_python"] = False
        build_data["infer_tag"] = True

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        if hasattr(self, "_folder"):
            self._folder.cleanup()
