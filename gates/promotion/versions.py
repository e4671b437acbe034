"""What is known of a registered version: the facts that offline gates judge and that a promotion puts on record."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256


@dataclass(frozen=True, slots=True)
class Column:
    """One column or tensor of a signature; `name` is "" or a place where the signature has no names."""

    name: str
    type: str
    required: bool = True


@dataclass(frozen=True, slots=True)
class Signature:
    """What a model takes and gives; a side that was not logged is empty."""

    inputs: tuple[Column, ...] = ()
    outputs: tuple[Column, ...] = ()


@dataclass(frozen=True, slots=True)
class Artifacts:
    """A model's files: the SHA-256 and the bytes of each, by its path in the model's folder."""

    checksums: Mapping[str, str]
    sizes: Mapping[str, int]
    signature: Signature | None = None

    @property
    def size(self) -> int:
        return sum(self.sizes.values())

    @property
    def digest(self) -> str:
        """One SHA-256 of them all: what `find . -type f | LC_ALL=C sort | xargs sha256sum | sha256sum` prints first, in
        the model's folder."""
        lines = (f"{self.checksums[path]}  ./{path}\n" for path in sorted(self.checksums))
        return sha256("".join(lines).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class VersionFacts:
    """One version, as the registry has it. `tags` are those of its run, with the version's own over them; `artifacts`
    is None, with the `trouble`, where its files cannot be read."""

    model: str
    version: str
    metrics: Mapping[str, float] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    params: Mapping[str, str] = field(default_factory=dict)
    description: str = ""
    run: str = ""
    created: float = 0.0
    artifacts: Artifacts | None = None
    trouble: str = ""

    @property
    def uri(self) -> str:
        return f"models:/{self.model}/{self.version}"

    def noted(self, name: str) -> str:
        """A tag, or else a parameter, of this name; "" where there is neither, or where it says "unknown"."""
        value = (self.tags.get(name) or self.params.get(name) or "").strip()
        return "" if value.lower() in ("unknown", "none", "n/a", "todo") else value


@dataclass(frozen=True, slots=True)
class Trial:
    """A candidate and the champion that it is to replace."""

    candidate: VersionFacts
    champion: VersionFacts
