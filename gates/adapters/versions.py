"""The facts of a registered version, read from MLflow: its metrics, tags and parameters, and its files."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gates.adapters.mlflow import CHAMPION
from gates.adapters.mlflowstore import MlflowStore, load_mlflow, registry_error
from gates.ports import RegistryError
from gates.promotion.offline import CHECKSUM_TAG
from gates.promotion.versions import Artifacts, Column, Signature, VersionFacts

if TYPE_CHECKING:
    from mlflow import MlflowClient

_SERVING_EXAMPLE = "serving_input_example.json"  # MLflow's name for it, since 2.16


class MlflowVersions:
    """`gates.ports.Versions` over an MLflow server or database. Nothing is opened before the first call."""

    def __init__(self, tracking_uri: str, registry_uri: str | None = None) -> None:
        self._store = MlflowStore(tracking_uri, registry_uri)

    def resolve(self, model: str, reference: str) -> str:
        with self._store.client_to(f"resolve {reference!r} of model {model!r}") as client:
            if reference.startswith("@"):
                return str(client.get_model_version_by_alias(model, reference[1:]).version)
            return str(client.get_model_version(model, reference).version)

    def champion(self, model: str) -> str | None:
        """By the alias `champion`, else the newest version of the stage Production."""
        with self._store.client_to(f"find the champion of model {model!r}") as client:
            registered = client.get_registered_model(model)
            aliased = registered.aliases.get(CHAMPION)
            if aliased is not None:
                return str(aliased)
            staged = [v for v in registered.latest_versions or () if v.current_stage == "Production"]
            return str(staged[0].version) if staged else None

    def facts(self, model: str, version: str) -> VersionFacts:
        with self._store.client_to(f"read version {version!r} of model {model!r}") as client:
            found = client.get_model_version(model, version)
            run = client.get_run(found.run_id).data if found.run_id else None
            artifacts, trouble = self._artifacts(client, model, version)
            return VersionFacts(
                model=model,
                version=str(found.version),
                metrics={} if run is None else dict(run.metrics),
                tags=({} if run is None else dict(run.tags)) | dict(found.tags),
                params={} if run is None else dict(run.params),
                description=found.description or "",
                run=found.run_id or "",
                created=(found.creation_timestamp or 0) / 1000,
                artifacts=artifacts,
                trouble=trouble,
            )

    def example(self, model: str, version: str) -> bytes | None:
        """The body that MLflow keeps beside a model with an input example; None where there is none."""
        act = f"read the input example of version {version!r} of model {model!r}"
        with self._store.client_to(act) as client, self._downloaded(client, model, version) as folder:
            file = folder / _SERVING_EXAMPLE
            return file.read_bytes() if file.exists() else None

    def seal(self, model: str, version: str) -> str:
        """Note the checksum of the version's files down in its tag `artifact_sha256`; returns it.

        Raises RegistryError, also where another one is noted down already."""
        facts = self.facts(model, version)
        if facts.artifacts is None:
            raise RegistryError(f"{facts.uri}: its files cannot be read: {facts.trouble}")
        digest, known = facts.artifacts.digest, facts.tags.get(CHECKSUM_TAG, "")
        if known not in ("", digest):
            raise RegistryError(f"{facts.uri} was sealed as {known}, and its files are {digest} by now")
        with self._store.client_to(f"tag {facts.uri}") as client:
            client.set_model_version_tag(model, version, CHECKSUM_TAG, digest)
        return digest

    def _artifacts(self, client: MlflowClient, model: str, version: str) -> tuple[Artifacts | None, str]:
        """The version's files, or why they cannot be read: that is a lack of data, and no trouble of the registry's."""
        try:
            with self._downloaded(client, model, version) as folder:
                return _read(folder), ""
        except Exception as error:  # artifact stores let their own errors through
            return None, str(registry_error(error))

    @contextmanager
    def _downloaded(self, client: MlflowClient, model: str, version: str) -> Iterator[Path]:
        """The version's files, in a folder of their own for as long as the `with` lasts."""
        from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

        location = client.get_model_version_download_uri(model, version)
        repository = get_artifact_repository(
            location, tracking_uri=self._store.tracking_uri, registry_uri=self._store.registry_uri
        )
        with tempfile.TemporaryDirectory(prefix="penstock-model-") as folder:
            yield Path(repository.download_artifacts("", folder))


def _read(folder: Path) -> Artifacts:
    """Raises OSError, and whatever MLflow raises for an MLmodel that it cannot read."""
    files = {str(path.relative_to(folder)): path for path in sorted(folder.rglob("*")) if path.is_file()}
    if not files:
        raise OSError("there are none")
    checksums = {name: _sha256(path) for name, path in files.items()}
    sizes = {name: path.stat().st_size for name, path in files.items()}
    return Artifacts(checksums, sizes, _signature(files["MLmodel"]) if "MLmodel" in files else None)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _signature(file: Path) -> Signature | None:
    load_mlflow()
    from mlflow.models import Model

    signature = Model.load(str(file)).signature
    if signature is None:
        return None
    return Signature(_columns(signature.inputs), _columns(signature.outputs))


def _columns(schema: Any) -> tuple[Column, ...]:
    return tuple(_column(spec) for spec in schema.inputs) if schema is not None else ()


def _column(spec: Any) -> Column:
    """A column's type by its name, a tensor's by its type and shape; both are what MLflow itself prints."""
    described: Mapping[str, Any] = spec.to_dict()
    if described.get("type") == "tensor":
        tensor = described["tensor-spec"]
        return Column(spec.name or "", f"tensor {tensor['dtype']} {tuple(tensor['shape'])}")
    kind = described["type"]
    shown = kind if kind not in ("array", "object", "map") else f"{kind} {spec.type}"
    return Column(spec.name or "", shown, bool(described.get("required", True)))
