"""The way to an MLflow store: a client that is made at its first use, and its errors in the house's words."""

from __future__ import annotations

import importlib
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from types import ModuleType
from typing import TYPE_CHECKING

from gates.ports import NotRegistered, RegistryError

if TYPE_CHECKING:
    from mlflow import MlflowClient

_QUIET_AND_BRISK = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "15",  # seconds
}
_ABSENT = {"RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"}  # the second of an alias, or of a version "x"


class MlflowStore:
    """One tracking store with its registry. Nothing is imported or opened before the first call, and a first call that
    failed is made anew by the next."""

    def __init__(self, tracking_uri: str, registry_uri: str | None = None) -> None:
        self.tracking_uri = tracking_uri
        self.registry_uri = registry_uri

    @cached_property
    def _client(self) -> MlflowClient:
        return connect(self.tracking_uri, self.registry_uri)

    @contextmanager
    def client_to(self, act: str) -> Iterator[MlflowClient]:
        """The client, with whatever it raises turned into a RegistryError that says which act failed.

        All of `Exception`, because database drivers and artifact stores let their own errors through MLflow."""
        try:
            yield self._client
        except RegistryError:
            raise
        except Exception as error:
            raise registry_error(error, self.registry_uri or self.tracking_uri, act) from error


def registry_error(error: Exception, uri: str = "", act: str = "") -> RegistryError:
    """What MLflow raised, in one line without passwords: NotRegistered where it knows no such model or version."""
    cause = next(iter(str(error).strip().splitlines()), "") or type(error).__name__
    text = _without_credentials(f"MLflow at {uri} could not {act}: {cause}" if act else cause)
    absent = getattr(error, "error_code", None) in _ABSENT
    return NotRegistered(text) if absent else RegistryError(text)


def load_mlflow() -> ModuleType:
    """MLflow, which takes seconds to import the first time.

    Where the environment does not say otherwise, it will report to nobody, print no links, and give up on a server
    that is down within seconds: left to itself it would try for four minutes."""
    for name, value in _QUIET_AND_BRISK.items():
        os.environ.setdefault(name, value)
    return importlib.import_module("mlflow")


def connect(tracking_uri: str, registry_uri: str | None = None) -> MlflowClient:
    """A client of this store; a SQLite database that is not there yet is created, which takes seconds too.

    MLflow's process-wide tracking URI is neither read nor set."""
    client: MlflowClient = load_mlflow().MlflowClient(tracking_uri=tracking_uri, registry_uri=registry_uri)
    return client


def _without_credentials(text: str) -> str:
    return re.sub(r"(?<=://)[^/\s]*@", "", text)
