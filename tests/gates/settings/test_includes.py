"""A document of several files: each value knows its own, and no chain of them is endless or leads outside."""

from __future__ import annotations

from pathlib import Path

import pytest

from gates.settings.document import MAX_BYTES, MAX_DEPTH, MAX_NODES, Document, Place, read


def told(document: Document) -> list[tuple[int, str, str]]:
    return [(problem.line, problem.key, problem.message) for problem in document.problems]


def test_every_value_knows_its_file_and_line(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    root, gates, more = tmp_path / "a.yaml", tmp_path / "sub" / "gates.yaml", tmp_path / "more.yaml"
    root.write_text("# c\na:\n  b:\n    - 1\n    - {c: 2}\ng: !include sub/gates.yaml\n")
    gates.write_text("# c\nerrors:\n  max: 1\nlist: !include ../more.yaml\n")
    more.write_text("\n- x\n- y\n")
    document = read(root)
    assert document.problems == ()
    assert document.value == {"a": {"b": [1, {"c": 2}]}, "g": {"errors": {"max": 1}, "list": ["x", "y"]}}
    assert document.places == {
        (): Place(root, 2),
        ("a",): Place(root, 2),
        ("a", "b"): Place(root, 3),
        ("a", "b", 0): Place(root, 4),
        ("a", "b", 1): Place(root, 5),
        ("a", "b", 1, "c"): Place(root, 5),
        ("g",): Place(gates, 2),
        ("g", "errors"): Place(gates, 2),
        ("g", "errors", "max"): Place(gates, 3),
        ("g", "list"): Place(more, 2),
        ("g", "list", 0): Place(more, 2),
        ("g", "list", 1): Place(more, 3),
    }
    missing = document.problem(("g", "errors", "min"), "is missing")
    assert (missing.file, missing.line, missing.key) == (gates, 2, "g.errors.min")


def test_a_problem_in_an_included_file_is_told_there_and_the_rest_is_read(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("a: !include b.yaml\nc: 010\n")
    (tmp_path / "b.yaml").write_text("x: 1\ny: [\n")
    document = read(tmp_path / "a.yaml")
    assert [(problem.file.name, problem.line, problem.key) for problem in document.problems] == [
        ("b.yaml", 3, "a"),
        ("a.yaml", 2, "c"),
    ]


@pytest.mark.parametrize(
    "path", ["/etc/hostname", "../outside.yaml", "sub/../../outside.yaml", "link.yaml", "folder/x"]
)
def test_an_include_stays_inside_the_folder(tmp_path: Path, path: str) -> None:
    inside = tmp_path / "config"
    inside.mkdir()
    (tmp_path / "outside.yaml").write_text("secret")
    (inside / "link.yaml").symlink_to(tmp_path / "outside.yaml")
    (inside / "folder").symlink_to(tmp_path)
    (inside / "a.yaml").write_text(f"a: !include {path}\n")
    ((line, key, message),) = told(read(inside / "a.yaml"))
    assert (line, key) == (1, "a")
    assert "relative path inside" in message


def test_an_include_follows_the_links_of_a_mounted_config_map(tmp_path: Path) -> None:
    (tmp_path / "..2026" / "gates").mkdir(parents=True)
    (tmp_path / "..2026" / "penstock.yaml").write_text("gates: !include gates/default.yaml\n")
    (tmp_path / "..2026" / "gates" / "default.yaml").write_text("1")
    (tmp_path / "..data").symlink_to("..2026")
    for name in ("penstock.yaml", "gates"):
        (tmp_path / name).symlink_to(Path("..data") / name)
    document = read(tmp_path / "penstock.yaml")
    assert document.problems == ()
    assert document.value == {"gates": 1}


@pytest.mark.parametrize(
    ("second", "key"),
    [("!include a.yaml", "a"), ("{x: [!include ./b.yaml]}", "a.x[0]"), ("!include ../here/a.yaml", "a")],
)
def test_a_file_never_includes_itself(tmp_path: Path, second: str, key: str) -> None:
    folder = tmp_path / "here"
    folder.mkdir()
    (folder / "a.yaml").write_text("a: !include b.yaml\n")
    (folder / "b.yaml").write_text(second)
    document = read(folder / "a.yaml")
    ((_, found, message),) = told(document)
    assert found == key
    assert "include itself" in message


def test_one_file_may_be_included_twice(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("a: !include b.yaml\nc: !include b.yaml\n")
    (tmp_path / "b.yaml").write_text("[1]")
    document = read(tmp_path / "a.yaml")
    assert document.problems == ()
    assert document.value == {"a": [1], "c": [1]}


@pytest.mark.parametrize(
    ("included", "said"),
    [
        ("[" + "1, " * (MAX_NODES // 10) + "]", "too large"),
        ("# " + "x" * (MAX_BYTES // 10) + "\n1", "too large"),
        ("[" * MAX_DEPTH + "]" * MAX_DEPTH, "nested too deep"),
    ],
)
def test_the_caps_hold_for_all_files_together(tmp_path: Path, included: str, said: str) -> None:
    (tmp_path / "a.yaml").write_text("- !include b.yaml\n" * 12)
    (tmp_path / "b.yaml").write_text(included)
    ((_, _, message),) = told(read(tmp_path / "a.yaml"))
    assert said in message


def test_a_long_chain_of_includes_is_cut(tmp_path: Path) -> None:
    for index in range(MAX_DEPTH + 2):
        (tmp_path / f"{index}.yaml").write_text(f"!include {index + 1}.yaml")
    ((_, _, message),) = told(read(tmp_path / "0.yaml"))
    assert "nested too deep" in message


def test_an_include_that_cannot_be_read_is_told_where_it_is_asked_for(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("a: 1\nb: !include nowhere.yaml\nc: !include\n")
    problems = read(tmp_path / "a.yaml").problems
    assert [(problem.file.name, problem.line, problem.key) for problem in problems] == [
        ("a.yaml", 2, "b"),
        ("a.yaml", 3, "c"),
    ]
