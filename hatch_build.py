"""The wheel's build: with PENSTOCK_COMPILE=1 it holds the hot path compiled by mypyc, beside the same source.

Compiled or not, it is the same Python, with the same tests; compiled, a request costs about half.
"""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hatchling.builders.config import BuilderConfig
from hatchling.builders.hooks.plugin.interface import BuildHookInterface

HOT = (
    *("begun", "brake", "budget", "comparer", "comparison", "connection", "cycle", "dataplane", "formats"),
    *("framing", "gateway", "head", "headers", "histogram", "location", "mirror", "outputs", "pairs", "pool"),
    *("response", "routed", "routing", "rules", "slices", "snapshot", "standing", "strand", "tally", "targets"),
    *("throttle", "units", "upload", "upstream", "window", "windows"),
)
"""The modules and packages of `proxy` that a request passes through."""
_C_FLAGS = "-fno-semantic-interposition -fno-plt"
"""Nobody else replaces our functions, so one may be put into another; and Python's are called without a detour."""
_FUTURE = "from __future__ import annotations"


class CompileHook(BuildHookInterface[BuilderConfig]):
    """Adds the compiled modules to a wheel. Raises CalledProcessError where mypyc or the C compiler does."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if version == "editable" or os.environ.get("PENSTOCK_COMPILE", "0") == "0":
            return
        self._folder = TemporaryDirectory(prefix="penstock-compile-")
        workshop = Path(self._folder.name)
        shutil.copytree(Path(self.root) / "proxy", workshop / "proxy")
        shutil.copy(Path(self.root) / "pyproject.toml", workshop)  # mypy's settings
        places = [workshop / "proxy" / name for name in HOT]
        sources = [file for place in places for file in (sorted(place.glob("*.py")) or [place.with_suffix(".py")])]
        for source in sources:
            source.write_text(prepared(source.read_text()))
        flags = f"{os.environ.get('CFLAGS', '')} {_C_FLAGS}".strip()
        command = [sys.executable, "-m", "mypyc", *map(str, sources)]
        subprocess.run(command, cwd=workshop, env={**os.environ, "CFLAGS": flags}, check=True)
        for module in workshop.rglob("*.so"):
            if "build" not in module.relative_to(workshop).parts:
                build_data["force_include"][str(module)] = str(module.relative_to(workshop))
        build_data["pure_python"] = False
        build_data["infer_tag"] = True

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        if hasattr(self, "_folder"):
            self._folder.cleanup()


def prepared(source: str) -> str:
    """The source as mypyc gets it. Behind each class that msgspec may read it says what the class' annotations say:
    compiled, a class keeps but an outline of them (`dict` for `dict[str, int]`, `object` for `Any`). And a name in
    capitals is Final, which spares a lookup at each use."""
    lines = source.splitlines()
    for statement in reversed(ast.parse(source).body):
        if isinstance(statement, ast.ClassDef) and (told := _annotations(statement)):
            lines.insert(statement.end_lineno or 0, f"globals()[{statement.name!r}].__annotations__.update({told})")
        elif isinstance(statement, ast.Assign) and _is_constant(statement):
            name = ast.unparse(statement.targets[0])
            first = statement.lineno - 1
            lines[first] = lines[first].replace(f"{name} =", f"{name}: _Final =", 1)
    future = next(n for n, line in enumerate(lines) if line == _FUTURE)
    return "\n".join([*lines[: future + 1], "from typing import Final as _Final", *lines[future + 1 :], ""])


def _is_constant(statement: ast.Assign) -> bool:
    (target, *others), value = statement.targets, ast.unparse(statement.value)
    return isinstance(target, ast.Name) and target.id.isupper() and not others and not value.startswith("TypeVar(")


def _annotations(definition: ast.ClassDef) -> dict[str, str]:
    kinds = [ast.unparse(kind) for kind in (*definition.decorator_list, *definition.bases)]
    if not any("dataclass" in kind or "Struct" in kind for kind in kinds):
        return {}
    return {
        statement.target.id: ast.unparse(statement.annotation)
        for statement in definition.body
        if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name)
    }
