"""What leaves the house: the locks, the version, the wheel."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

import proxy

ROOT = Path(__file__).parents[1]
LOCKS = sorted(ROOT.glob("requirements*.lock"))
METADATA = f"penstock-{proxy.__version__}.dist-info"

PINNED = re.compile(r"(?P<name>[a-z0-9-]+)(\[[a-z0-9,-]+])?==(?P<version>[^ ]+)( ; (?P<marker>[^\\]+))?( \\)?")
HASH = re.compile(r" {4}--hash=sha256:[0-9a-f]{64}( \\)?")
# A scheme, a path from the root or a home, a drive: anything that is true of one machine only.
ADDRESS = re.compile(r"[a-z+]+://|file:|--(index|extra|find|trusted)|(^|[\s=@'\"])(/|~/|[A-Za-z]:\\)", re.MULTILINE)


def pins(lock: Path) -> set[tuple[str, str]]:
    found = (PINNED.fullmatch(line) for line in lock.read_text().splitlines())
    return {(pin["name"], pin["version"]) for pin in found if pin}


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.name)
def test_a_lock_pins_and_hashes_every_package(lock: Path) -> None:
    lines = [line for line in lock.read_text().splitlines() if not re.fullmatch(r" *#.*", line)]
    assert lines
    for line, following in zip(lines, [*lines[1:], ""], strict=True):
        if PINNED.fullmatch(line):
            assert HASH.fullmatch(following), f"{line} has no hash"
        else:
            assert HASH.fullmatch(line), f"{line!r} is neither a pin nor a hash"


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.name)
def test_a_lock_names_no_address_and_no_machine(lock: Path) -> None:
    assert ADDRESS.search(lock.read_text()) is None


@pytest.mark.parametrize("leak", ["--index-url https://a.test", "-f /srv/wheels", "x @ file:///a.whl", "# from ~/a.in"])
def test_an_address_would_be_found(leak: str) -> None:
    assert ADDRESS.search(f"numpy==2.4.6\n{leak}\n")


def test_the_smaller_locks_are_shares_of_the_whole() -> None:
    whole = pins(ROOT / "requirements.lock")
    for lock in LOCKS:
        assert pins(lock) <= whole, f"make lock: {lock.name} has drifted"


def test_the_locks_hold_what_the_project_asks_for() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    base = project["project"]["dependencies"]
    extras = project["project"]["optional-dependencies"]
    groups = project["dependency-groups"]
    every_extra = [requirement for extra in extras.values() for requirement in extra]
    developer = [requirement for requirement in groups["dev"] if isinstance(requirement, str)]
    wanted = {
        "requirements-build.lock": groups["build"],
        "requirements-proxy.lock": base,
        "requirements-control.lock": [*base, *extras["control"]],
        "requirements.lock": [*base, *every_extra, *groups["build"], *developer],
    }
    assert set(wanted) == {lock.name for lock in LOCKS}
    for lock, requirements in wanted.items():
        names = {re.split(r"[\[<>=;~! ]", requirement)[0] for requirement in requirements} - {"penstock"}
        assert names <= {name for name, _ in pins(ROOT / lock)}, f"make lock: {lock} is older than pyproject.toml"


def test_the_data_planes_image_carries_no_control_plane() -> None:
    heavy = {"mlflow", "mlflow-skinny", "sqlalchemy", "scikit-learn", "scipy", "pandas", "pyarrow", "starlette"}
    assert not heavy & {name for name, _ in pins(ROOT / "requirements-proxy.lock")}


def test_the_version_is_the_same_wherever_it_stands() -> None:
    chart = yaml.safe_load((ROOT / "charts" / "penstock" / "Chart.yaml").read_text())
    newest = re.search(r"^## \[(\d+\.\d+\.\d+)]", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert newest is not None
    assert {proxy.__version__} == {newest[1], chart["version"], chart["appVersion"]}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[zipfile.ZipFile]:
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)]
    done = subprocess.run(build, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (file,) = folder.glob("*.whl")
    with zipfile.ZipFile(file) as archive:
        yield archive


def test_the_wheel_holds_the_two_packages_and_nothing_else(wheel: zipfile.ZipFile) -> None:
    names = set(wheel.namelist())
    assert {name.split("/")[0] for name in names} == {"proxy", "gates", METADATA}
    assert not any("__pycache__" in name for name in names)


def test_the_wheel_holds_every_module_its_types_and_the_licence(wheel: zipfile.ZipFile) -> None:
    sources = [path for package in ("proxy", "gates") for path in (ROOT / package).rglob("*.py")]
    modules = {path.relative_to(ROOT).as_posix() for path in sources}
    assert modules | {"proxy/py.typed", "gates/py.typed", f"{METADATA}/licenses/LICENSE"} <= set(wheel.namelist())


def test_the_wheel_brings_the_load_of_staging(wheel: zipfile.ZipFile) -> None:
    assert wheel.read("gates/loadtests/model_load.py") == (ROOT / "loadtests" / "model_load.py").read_bytes()


ASK = """
from gates.settings import load_promotion
from gates.shipped import configuration, gate_file, shipped
from pathlib import Path
print(gate_file(Path("llm-service")))
print(len(load_promotion(gate_file(Path("llm-service"))).live), *sorted(configuration()))
"""


def test_the_wheel_brings_the_gate_files_and_finds_them(wheel: zipfile.ZipFile, tmp_path: Path) -> None:
    """As installed: the checkout is out of reach."""
    wheel.extractall(tmp_path)
    environment = {**os.environ, "PYTHONSAFEPATH": "1", "PYTHONPATH": str(tmp_path)}
    asked = subprocess.run(
        [sys.executable, "-c", ASK], cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
    )
    found, told = asked.stdout.splitlines()
    assert found == str(tmp_path / "gates" / "config" / "gates" / "llm-service.yaml")
    files = ["gates/default.yaml", "gates/llm-service.yaml", "gates/promotion.schema.json", "gates/promotion.yaml"]
    assert told.split() == ["12", *files, "penstock.schema.json", "penstock.yaml"]
    for file in told.split()[1:]:
        assert wheel.read(f"gates/config/{file}") == (ROOT / "config" / file).read_bytes()


def test_the_image_is_built_from_all_that_the_wheel_needs(tmp_path: Path) -> None:
    """What the first stage of the Dockerfile copies is enough for hatchling."""
    stage = (ROOT / "Dockerfile").read_text().split("\nFROM ")[1]
    for line in re.findall(r"^COPY (.+)$", stage, re.MULTILINE):
        *sources, target = line.split()
        for source in sources:
            into = tmp_path / target / Path(source).name if target.endswith("/") else tmp_path / target
            into.parent.mkdir(parents=True, exist_ok=True)
            copy = shutil.copytree if (ROOT / source).is_dir() else shutil.copy
            copy(ROOT / source, into)
    build = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(tmp_path / "dist")]
    done = subprocess.run(build, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_the_wheel_brings_the_command(wheel: zipfile.ZipFile) -> None:
    assert "penstock = gates.cli:main" in wheel.read(f"{METADATA}/entry_points.txt").decode()
