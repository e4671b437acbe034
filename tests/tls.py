"""Certificates for the tests, by an authority of their own, as files and as contexts."""

from __future__ import annotations

import ssl
from pathlib import Path

import trustme

from proxy.snapshot import UpstreamTls
from proxy.tls import ServerTls


class Authority:
    """One authority, and the files that it writes into `folder`; a file that is written again is replaced."""

    def __init__(self, folder: Path) -> None:
        self._ca = trustme.CA()
        self._folder = folder

    def ca(self, name: str = "ca.pem") -> str:
        return self._write(name, self._ca.cert_pem.bytes())

    def certificate(self, *names: str, file: str = "server") -> ServerTls:
        """A certificate for these names, 127.0.0.1 where there are none, and its key."""
        issued = self._ca.issue_cert(*names or ("127.0.0.1",))
        chain = b"".join(part.bytes() for part in issued.cert_chain_pems)
        return ServerTls(self._write(f"{file}.crt", chain), self._write(f"{file}.key", issued.private_key_pem.bytes()))

    def server(self, *names: str, clients: bool = False) -> ssl.SSLContext:
        """A server's context; with `clients`, it asks for certificates of ours."""
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self._ca.issue_cert(*names or ("127.0.0.1",)).configure_cert(context)
        if clients:
            context.verify_mode = ssl.CERT_REQUIRED
            self._ca.configure_trust(context)
        return context

    def client(self, shown: ServerTls | None = None) -> ssl.SSLContext:
        """A client's context, which shows a certificate where one is given."""
        context = ssl.create_default_context()
        self._ca.configure_trust(context)
        if shown is not None:
            context.load_cert_chain(shown.certificate, shown.key)
        return context

    def trusted(self, server_name: str = "") -> UpstreamTls:
        return UpstreamTls(ca=self.ca(), server_name=server_name)

    def _write(self, name: str, content: bytes) -> str:
        """In one step, as tools that renew certificates do."""
        draft = self._folder / f"{name}.draft"
        draft.write_bytes(content)
        return str(draft.replace(self._folder / name))
