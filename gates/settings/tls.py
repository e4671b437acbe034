"""TLS as an operator writes it: of the data port, and of connections to the model servers."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Self

from pydantic import model_validator

from gates.settings import kinds
from gates.settings.kinds import Keys, contradiction
from proxy.snapshot import UpstreamTls


@dataclass(frozen=True, slots=True)
class DataPortTls:
    """PEM files of the data port."""

    certificate: Path
    key: Path | None
    client_ca: Path | None

    @property
    def files(self) -> tuple[Path, Path | None, Path | None]:
        return self.certificate, self.key, self.client_ca


class DataPortTlsKeys(Keys):
    """TLS on the data port: PEM files that the workers read, and take up anew when they change. A relative path starts
    at this file's folder."""

    certificate: kinds.File
    """The certificate, with the chain that leads to its authority."""
    key: kinds.File | None = None
    """Its key, where it is not in the same file."""
    client_ca: kinds.File | None = None
    """Serve only clients whose certificate is of one of these authorities."""

    def tls(self, folder: Path) -> DataPortTls:
        certificate = (folder / self.certificate).absolute()
        return DataPortTls(certificate, _file(folder, self.key), _file(folder, self.client_ca))


class UpstreamTlsKeys(Keys):
    """How this model's https servers are checked, and what they are shown: PEM files that the workers read, and take
    up anew when they change. A relative path starts at this file's folder."""

    ca: kinds.File | None = None
    """The authorities that vouch for the servers, in place of the system's."""
    certificate: kinds.File | None = None
    """A client certificate to show them."""
    key: kinds.File | None = None
    """Its key, where it is not in the same file."""
    server_name: kinds.HostName | None = None
    """The name that their certificates have to have, in place of the host's in their address."""

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if self.key is not None and self.certificate is None:
            raise contradiction("a key needs a certificate beside it", "key")
        return self

    def tls(self, folder: Path) -> UpstreamTls:
        ca, certificate, key = (str(_file(folder, file) or "") for file in (self.ca, self.certificate, self.key))
        return UpstreamTls(ca, certificate, key, self.server_name or "")


def _file(folder: Path, file: str | None) -> Path | None:
    """A path that is absolute stays as it is: it may be of another machine."""
    return (folder / file).absolute() if file else None
