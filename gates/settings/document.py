"""Strict YAML, read as a document that knows the file and line of each of its values.

What YAML lets an operator write by accident is an error here: aliases, tags, duplicate keys, keys without a value,
octal numbers and numbers that are not finite. Only `!include relative/path.yaml` is added. All that a document may
cost is capped, so that no bytes whatever can hang or fell the reader.
"""

from __future__ import annotations

import hashlib
import math
import os
import re
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml

from gates.settings.problems import Key, Problem, Source, key_text

# For all files of a document together.
MAX_BYTES = 1024 * 1024
MAX_NODES = 50_000
MAX_DEPTH = 32

_INCLUDE = "!include"
_LONGEST_MESSAGE = 300
_TOP: Key = ()


@dataclass(frozen=True, slots=True)
class Place:
    """A line of a file, counted from 1; 0 means the file as a whole."""

    file: Path
    line: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}" if self.line else str(self.file)


@dataclass(frozen=True, slots=True)
class Document:
    """What the files hold: mappings, lists, texts, numbers and booleans, and None for what could not be read.

    `problems` says why; no value at or below a `broken` key can be relied on."""

    value: object
    places: Mapping[Key, Place]
    problems: tuple[Problem, ...]
    broken: frozenset[Key]
    source: Source

    def problem(self, key: Key, message: str) -> Problem:
        """A problem with the value at `key`, told at the line of its key, or at that of what it is missing from."""
        place = place_of(self.places, key)
        return Problem(place.file, place.line, key_text(key), message)

    def sound(self, key: Key) -> bool:
        """Whether the value at `key` is what the files say."""
        return self.broken.isdisjoint(_upwards(key))


def place_of(places: Mapping[Key, Place], key: Key) -> Place:
    """The line of the key, or that of what it is missing from."""
    return next(places[above] for above in _upwards(key) if above in places)


def read(path: Path) -> Document:
    """Read a file and all that it includes. Never raises: what is wrong is in the document's problems."""
    reader = _Reader(path)
    try:
        value = reader.file(path, _TOP, reader.places[_TOP], _Within())
    except _CapPassed:
        value = None
    return Document(value, reader.places, tuple(reader.problems), frozenset(reader.broken), reader.source)


def _upwards(key: Key) -> Iterator[Key]:
    return (key[:length] for length in range(len(key), -1, -1))


class _CapPassed(Exception):
    """The document is too large or too deep; its problem is recorded, and nothing more of it is read."""


class _Unreadable(Exception):
    """The structure of one file cannot be read; other files can."""

    def __init__(self, line: int, message: str) -> None:
        super().__init__(message)
        self.line = line


@dataclass(frozen=True, slots=True)
class _Within:
    """Where a value stands: how deep, and in which files (real paths, the including ones first)."""

    depth: int = 0
    files: tuple[str, ...] = ()


class _Reader:
    """Turns YAML's events into values, all files on one budget of bytes, nodes and depth."""

    def __init__(self, root: Path) -> None:
        self.problems: list[Problem] = []
        self.places: dict[Key, Place] = {_TOP: Place(root, 0)}
        self.broken: set[Key] = set()
        self._folder = root.parent
        self._files: list[Path] = []
        self._read = hashlib.sha256()
        self._bytes = MAX_BYTES
        self._nodes = MAX_NODES

    @property
    def source(self) -> Source:
        return Source(tuple(self._files), self._read.hexdigest())

    def file(self, path: Path, key: Key, asked: Place, within: _Within) -> object:
        """The value of a whole file. `asked` is where it is asked for, and bears the blame if it cannot be opened."""
        self._files.append(path)
        try:
            raw = self._bytes_of(path)
        except OSError as error:
            self._read.update(str(error).encode())
            return self._refuse(key, asked, f"{path.name[:64]} cannot be read: {error.strerror}")
        self._read.update(b"%d:%b" % (len(raw), raw))
        whole = self.places[key] = Place(path, 0)
        if self._bytes < 0:
            self._give_up(key, whole, f"is too large: expected at most {MAX_BYTES} bytes in all files")
        try:
            text = raw.decode("utf-8-sig")
            return self._parsed(path, text, key, within)
        except _Unreadable as error:
            return self._refuse(key, Place(path, error.line), str(error))
        except UnicodeDecodeError as error:
            return self._refuse(key, Place(path, raw.count(b"\n", 0, error.start) + 1), "is not UTF-8 text")
        except yaml.MarkedYAMLError as error:
            line = error.problem_mark.line + 1 if error.problem_mark else 0
            said = ", ".join(part for part in (error.context, error.problem) if part)
            return self._refuse(key, Place(path, line), f"is not valid YAML: {said}")
        except yaml.reader.ReaderError as error:
            place = Place(path, text.count("\n", 0, error.position) + 1)
            return self._refuse(key, place, "is not valid YAML: it holds a character that YAML forbids")
        except (ValueError, OverflowError):
            # PyYAML does not check the numbers in escapes and directives.
            return self._refuse(key, whole, "is not valid YAML: an escape or a directive holds a number out of range")

    def _bytes_of(self, path: Path) -> bytes:
        """Raises OSError for anything but a plain file."""
        with open(path, "rb", opener=_at_once) as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise OSError(0, "it is not a file")
            raw = file.read(self._bytes + 1)
        self._bytes -= len(raw)
        return raw

    def _parsed(self, path: Path, text: str, key: Key, within: _Within) -> object:
        events = yaml.parse(text, Loader=yaml.SafeLoader)
        next(events)
        if isinstance(next(events), yaml.StreamEndEvent):
            raise _Unreadable(0, "is empty")
        first = next(events)
        self.places[key] = Place(path, _line(first))
        value = self._value(events, first, path, key, within)
        next(events)
        if not isinstance(after := next(events), yaml.StreamEndEvent):
            raise _Unreadable(_line(after), "expected one YAML document, found a second")
        return value

    def _value(self, events: Iterator[yaml.Event], event: yaml.Event, path: Path, key: Key, within: _Within) -> object:
        place = Place(path, _line(event))
        self._count(key, place, within)
        if isinstance(event, yaml.AliasEvent):
            return self._refuse(key, place, "aliases (*name) are not supported: write the value out")
        if isinstance(event, yaml.ScalarEvent):
            return self._scalar(event, place, key, within)
        if isinstance(event, yaml.CollectionStartEvent):
            self._refuse_marks(event, event.tag, place, key)
        deeper = _Within(within.depth + 1, within.files)
        if isinstance(event, yaml.SequenceStartEvent):
            return self._sequence(events, path, key, deeper)
        return self._mapping(events, path, key, deeper)

    def _sequence(self, events: Iterator[yaml.Event], path: Path, key: Key, within: _Within) -> list[object]:
        items: list[object] = []
        while not isinstance(event := next(events), yaml.SequenceEndEvent):
            item = (*key, len(items))
            self.places[item] = Place(path, _line(event))
            items.append(self._value(events, event, path, item, within))
        return items

    def _mapping(self, events: Iterator[yaml.Event], path: Path, key: Key, within: _Within) -> dict[str, object]:
        """Keys are texts, whatever they look like: 40 and "40" are the same key."""
        items: dict[str, object] = {}
        lines: dict[str, int] = {}
        while not isinstance(event := next(events), yaml.MappingEndEvent):
            place = Place(path, _line(event))
            if not isinstance(event, yaml.ScalarEvent) or not event.value or event.tag or event.anchor:
                raise _Unreadable(place.line, "expected a key that is a plain text")
            name = event.value
            entry = (*key, name)
            self._count(entry, place, within)
            self.places[entry] = place
            if name in items:
                self._refuse(entry, place, f"the key stands twice, first in line {lines[name]}")
            if _UNPRINTABLE.search(name):
                self._refuse(entry, place, "expected a key without control characters")
            lines.setdefault(name, place.line)
            items[name] = self._value(events, next(events), path, entry, within)
        return items

    def _scalar(self, event: yaml.ScalarEvent, place: Place, key: Key, within: _Within) -> object:
        text: str = event.value
        if _UNPRINTABLE.search(text):
            return self._refuse(key, place, "expected a text without control characters")
        if event.tag == _INCLUDE:
            return self._include(text, place, key, within)
        self._refuse_marks(event, event.tag, place, key)
        try:
            return text if event.style else _plain(text)
        except ValueError as error:
            return self._refuse(key, place, str(error))

    def _include(self, text: str, place: Place, key: Key, within: _Within) -> object:
        """Only from inside the first file's folder, links followed, and never a file into itself."""
        path = Path(os.path.normpath(place.file.parent / text))
        real = os.path.realpath(path)
        if Path(text).is_absolute() or not Path(real).is_relative_to(os.path.realpath(self._folder)):
            return self._refuse(key, place, f"{_INCLUDE} {text}: expected a relative path inside {self._folder}")
        files = within.files or (os.path.realpath(place.file),)
        if real in files:
            return self._refuse(key, place, f"{_INCLUDE} {text}: the file would include itself")
        return self.file(path, key, place, _Within(within.depth + 1, (*files, real)))

    def _refuse_marks(self, event: yaml.NodeEvent, tag: str | None, place: Place, key: Key) -> None:
        if event.anchor is not None:
            self._refuse(key, place, "anchors (&name) are not supported: write the value out each time")
        if tag is not None:
            self._refuse(key, place, f"tags are not supported, but for {_INCLUDE} path.yaml")

    def _count(self, key: Key, place: Place, within: _Within) -> None:
        self._nodes -= 1
        if self._nodes < 0:
            self._give_up(key, place, f"is too large: expected at most {MAX_NODES} keys and values in all files")
        if within.depth > MAX_DEPTH:
            self._give_up(key[:4], place, f"is nested too deep: expected at most {MAX_DEPTH} levels")

    def _refuse(self, key: Key, place: Place, message: str) -> object:
        """Record a problem; the None that is returned stands in for the value."""
        self.problems.append(Problem(place.file, place.line, key_text(key), message[:_LONGEST_MESSAGE]))
        self.broken.add(key)
        return None

    def _give_up(self, key: Key, place: Place, message: str) -> None:
        self._refuse(key, place, message)
        self.broken.add(_TOP)
        raise _CapPassed


def _at_once(path: str, flags: int) -> int:
    """Opens a named pipe, too, without waiting for its other end."""
    return os.open(path, flags | os.O_NONBLOCK)


def _line(event: yaml.Event) -> int:
    mark = event.start_mark
    return mark.line + 1 if mark else 0


_NUMBER = re.compile(r"[-+]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][-+]?[0-9]+)?")
_DISPUTED = re.compile(r"[-+]?([0-9]+(\.[0-9]*)?|\.[0-9]+)[eE][0-9]+|[-+]?[0-9]+[eE][-+]?[0-9]+")
_WHOLE = re.compile(r"[-+]?[0-9]+")
_LEADING_ZERO = re.compile(r"[-+]?0([0-9_]+(\.[0-9]*)?|[xob][0-9a-f_]+)", re.IGNORECASE)
_NOT_FINITE = re.compile(r"[-+]?\.inf|\.nan", re.IGNORECASE)
_UNPRINTABLE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")
_WORDS = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_LONGEST_NUMBER = 18


def _plain(text: str) -> str | int | float | bool:
    """A value without quotes, by the core schema of YAML 1.2.2 (10.3.2), less what other readers read differently."""
    if text in ("", "~", "null", "Null", "NULL"):
        raise ValueError("has no value: give it one, or remove it")
    if text in _WORDS:
        return _WORDS[text]
    if _LEADING_ZERO.fullmatch(text):
        raise ValueError(f"{text[:40]} starts with 0: write a decimal number, or a text in quotes")
    if _NOT_FINITE.fullmatch(text):
        raise ValueError(f"expected a finite number, found {text}")
    if not _NUMBER.fullmatch(text):
        return text
    if _DISPUTED.fullmatch(text):  # a text by YAML 1.1, where an exponent needs a point before it and a sign
        raise ValueError(f"{text[:40]} is a number to some readers and a text to others: write it out, or in quotes")
    if _WHOLE.fullmatch(text) and len(text) <= _LONGEST_NUMBER:
        return int(text)
    if _WHOLE.fullmatch(text) or not math.isfinite(float(text)):
        raise ValueError(f"the number is too large: {text[:40]}")
    return float(text)
