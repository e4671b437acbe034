"""What is done to a registry as a whole: versions that are on their way out, and models under a new name."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gates.adapters.mlflow import CHAMPION
from gates.adapters.mlflowstore import MlflowStore
from gates.ports import RegistryError

if TYPE_CHECKING:
    from mlflow import MlflowClient

DEPRECATED, SUNSET, REPLACEMENT = "deprecated", "sunset_on", "replacement_version"
MIGRATED = "migrated_from"


@dataclass(frozen=True, slots=True)
class Move:
    """One version that goes to a new name, and the aliases that go with it."""

    version: str
    source: str
    run: str
    aliases: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ModelState:
    """One registered model, as its keeper would look at it. `tags` are the champion's, those of its run included."""

    name: str
    description: str
    versions: int
    champion: str | None
    tags: dict[str, str]
    sunset_aliases: tuple[str, ...]
    """Aliases that point at deprecated versions."""


class Housekeeping:
    """Over an MLflow server or database. Every method raises RegistryError."""

    def __init__(self, tracking_uri: str, registry_uri: str | None = None) -> None:
        self._store = MlflowStore(tracking_uri, registry_uri)

    def deprecate(self, model: str, version: str, sunset: str, replacement: str, reason: str) -> None:
        """Tag the version, and say so in its description. A version that serves is refused."""
        with self._store.client_to(f"deprecate version {version!r} of model {model!r}") as client:
            if str(client.get_registered_model(model).aliases.get(CHAMPION, "")) == version:
                raise RegistryError(f"version {version} of {model} is the champion: promote another one first")
            if replacement:
                client.get_model_version(model, replacement)
            found = client.get_model_version(model, version)
            tags = {DEPRECATED: "true", SUNSET: sunset, REPLACEMENT: replacement, "deprecation_reason": reason}
            for key, value in tags.items():
                if value:
                    client.set_model_version_tag(model, version, key, value)
            told = f"[DEPRECATED - sunset {sunset}] "
            if not (found.description or "").startswith("[DEPRECATED"):
                client.update_model_version(model, version, told + (found.description or ""))

    def models(self) -> Iterator[ModelState]:
        """All of them, by name."""
        with self._store.client_to("list the models") as client:
            for registered in _all(client.search_registered_models):
                yield self._state(client, registered)

    def moves(self, old: str) -> list[Move]:
        """The versions of a model, oldest first."""
        with self._store.client_to(f"read model {old!r}") as client:
            aliases = {name: str(version) for name, version in client.get_registered_model(old).aliases.items()}
            found = _all(lambda **page: client.search_model_versions(f"name = '{old}'", **page))
            return [
                Move(
                    str(version.version),
                    version.source,
                    version.run_id or "",
                    tuple(sorted(alias for alias, number in aliases.items() if number == str(version.version))),
                )
                for version in sorted(found, key=lambda version: int(version.version))
            ]

    def migrate(self, old: str, new: str) -> Iterator[tuple[Move, str]]:
        """Register every version of `old` under `new`, with tags, description and aliases; the old ones stay, and say
        where they went. Gives each move with its new number. A `new` that is there already is refused."""
        moves = self.moves(old)
        with self._store.client_to(f"migrate {old!r} to {new!r}") as client:
            if client.search_registered_models(f"name = '{new}'", max_results=1):
                raise RegistryError(f"there is a model {new!r} already: a migration makes its own")
            client.create_registered_model(new, description=client.get_registered_model(old).description)
            for move in moves:
                before = client.get_model_version(old, move.version)
                tags = {**before.tags, MIGRATED: f"models:/{old}/{move.version}"}
                made = client.create_model_version(
                    new, move.source, move.run or None, tags=tags, description=before.description
                )
                for alias in move.aliases:
                    client.set_registered_model_alias(new, alias, made.version)
                client.set_model_version_tag(old, move.version, "migrated_to", f"models:/{new}/{made.version}")
                yield move, str(made.version)
            client.set_registered_model_tag(old, "migrated_to", new)

    def _state(self, client: MlflowClient, registered: Any) -> ModelState:
        aliases = {name: str(version) for name, version in registered.aliases.items()}
        champion, tags = aliases.get(CHAMPION), {}
        if champion is not None:
            version = client.get_model_version(registered.name, champion)
            run = client.get_run(version.run_id).data.tags if version.run_id else {}
            tags = {**run, **version.tags}
        gone = [
            alias
            for alias, version in aliases.items()
            if client.get_model_version(registered.name, version).tags.get(DEPRECATED) == "true"
        ]
        versions = _all(lambda **page: client.search_model_versions(f"name = '{registered.name}'", **page))
        return ModelState(
            registered.name, registered.description or "", len(versions), champion, tags, tuple(sorted(gone))
        )


def _all(search: Any) -> list[Any]:
    """Every page of a search."""
    found, token = [], None
    while True:
        page = search(page_token=token)
        found += page
        token = page.token
        if not token:
            return found
