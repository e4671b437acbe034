"""TLS on both sides: contexts that are made of files, and made anew when one of the files changes.

Whoever renews certificates writes files: cert-manager and Kubernetes swap the folder behind a symlink, others rename.
A new handshake gets what the files hold by then; a connection that is there keeps what it began with.
"""

from __future__ import annotations

import logging
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from proxy.snapshot import UpstreamTls

logger = logging.getLogger("penstock.tls")

_HTTP_1_1 = ["http/1.1"]


@dataclass(frozen=True, slots=True)
class ServerTls:
    """What the data port shows its clients, as paths of PEM files: a certificate with its chain, and its key, where
    that is not in the same file. With `client_ca`, only clients with a certificate of these authorities are served."""

    certificate: str
    key: str = ""
    client_ca: str = ""


class TlsUnusable(Exception):
    """The data port's files make no TLS; the message names them."""


class Fresh:
    """A context, and the files that it is made of."""

    def __init__(self, make: Callable[[], ssl.SSLContext], *files: str) -> None:
        self._make = make
        self._files = tuple(filter(None, files))
        self._made: ssl.SSLContext | None = None
        self._seen: object = None

    def current(self) -> ssl.SSLContext:
        """The context of the files as they are. Files that make none, such as a certificate whose key is yet to come,
        leave the last good one in force. Raises OSError, of which ssl.SSLError is one, where there never was one."""
        seen = [_identity(file) for file in self._files]
        if self._made is None:
            self._made = self._make()
        elif seen != self._seen:
            try:
                self._made = self._make()
                logger.info("TLS files taken up anew: %s", ", ".join(self._files))
            except OSError as error:
                logger.warning("TLS files not usable, the last good ones stay: %s: %s", ", ".join(self._files), error)
        self._seen = seen
        return self._made


def _identity(file: str) -> tuple[int, int, int] | None:
    try:
        found = Path(file).stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size


def server_context(tls: ServerTls) -> ssl.SSLContext:
    """The data port's context. Each handshake goes on with the newest that there is. Raises TlsUnusable."""

    def make() -> ssl.SSLContext:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(tls.certificate, tls.key or None)
        context.set_alpn_protocols(_HTTP_1_1)
        if tls.client_ca:
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_verify_locations(tls.client_ca)
        return context

    files = tuple(filter(None, (tls.certificate, tls.key, tls.client_ca)))
    fresh = Fresh(make, *files)
    try:
        first = fresh.current()
    except OSError as error:
        raise TlsUnusable(f"the data port's TLS files are not usable: {', '.join(files)}: {error}") from None

    def choose(connection: ssl.SSLObject, name: str | None, context: ssl.SSLContext) -> None:
        """Called in each handshake, also where the client names no server."""
        connection.context = fresh.current()

    first.sni_callback = choose
    return first


def client_context(tls: UpstreamTls) -> Fresh:
    """What connections to these upstreams begin with."""

    def make() -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=tls.ca or None)
        if tls.certificate:
            context.load_cert_chain(tls.certificate, tls.key or None)
        context.set_alpn_protocols(_HTTP_1_1)
        return context

    return Fresh(make, tls.ca, tls.certificate, tls.key)
