"""Header fields on their way through a gateway: which go on, which end here, which are added (RFC 9110 section 7.6)."""

from __future__ import annotations

import re
from collections.abc import Iterable

from proxy.errors import RequestRefused

Fields = list[tuple[bytes, bytes]]
AnyFields = Iterable[tuple[bytes, bytes]]

HOP_BY_HOP = frozenset(
    b"connection keep-alive proxy-connection proxy-authenticate proxy-authorization "
    b"te trailer transfer-encoding upgrade".split()
)
# Rebuilt here, so that no client can speak for the proxy. `expect` was answered by the server already.
OURS = frozenset(b"host content-length expect x-request-id forwarded".split())
_FORWARDING = b"x-forwarded-"
_OURS_BY_PREFIX = (b"x-forwarded-", b"x-penstock-")
# Where servers look for their client's address, each with a proxy of its own in mind that sets it (the lists of
# django-ipware and request-ip, and those of the clouds).
CLIENT_ADDRESS = frozenset(
    b"x-real-ip x-client-ip x-cluster-client-ip x-original-forwarded-for x-forwarded forwarded-for client-ip "
    b"true-client-ip cf-connecting-ip cf-connecting-ipv6 fastly-client-ip fly-client-ip do-connecting-ip "
    b"x-appengine-user-ip x-azure-clientip x-azure-socketip x-envoy-external-address".split()
)
_END_HERE = HOP_BY_HOP | OURS
_END_HERE_OF_STRANGERS = _END_HERE | CLIENT_ADDRESS

_NOT_BACK = HOP_BY_HOP | {b"x-request-id"}

_NOTHING: frozenset[bytes] = frozenset()
_NAMING_NOTHING = (b"keep-alive", b"close")  # what nearly every `Connection` says

# Tokens that nearly every request bears: known to be safe, they are not matched again.
_USUAL = frozenset(
    b"accept accept-encoding accept-language authorization cache-control connection content-type cookie date origin "
    b"referer traceparent tracestate user-agent x-request-id x-user-id".split()
)

_TOKEN = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+").fullmatch
# A name, an IPv4 address or an IPv6 one in brackets, and a port; nothing where the target has no authority.
_HOST = re.compile(rb"(?:[A-Za-z0-9._-]*|\[[0-9A-Fa-f:.]+\])(?::[0-9]*)?").fullmatch
_SANE_REQUEST_ID = re.compile(rb"[A-Za-z0-9._:-]{1,128}").fullmatch


def first(fields: AnyFields, name: bytes) -> bytes:
    """The first value of a field, b"" where there is none. Names are lower case, as ASGI gives them."""
    for key, value in fields:
        if key == name:
            return value
    return b""


def request_id(fields: AnyFields) -> bytes:
    """The client's own request id if it is sane, else b""."""
    claimed = first(fields, b"x-request-id")
    return claimed if claimed and _SANE_REQUEST_ID(claimed) else b""


def check_request(fields: AnyFields, http_version: str) -> None:
    """Refuse what two parsers could read in two ways (RFC 9112 sections 3.2, 5.1 and 6.3).

    Raises RequestRefused."""
    hosts = lengths = encodings = 0
    for name, value in fields:
        if name in _USUAL:
            continue
        if name == b"host":
            hosts += 1
            if not _HOST(value):  # it goes on as `x-forwarded-host`
                raise RequestRefused("host is no name or address")
        elif name == b"content-length":
            lengths += 1
            if not value.isdigit():
                raise RequestRefused("content-length is not a number")
        elif name == b"transfer-encoding":
            encodings += 1
            if value.lower() != b"chunked":
                raise RequestRefused("transfer-encoding other than chunked")
        elif not _TOKEN(name) or (b"_" in name and _aliases_ours(name)):
            raise RequestRefused("a header name that is not safe to forward")
    if http_version not in ("1.1", "1.0"):
        raise RequestRefused("expected HTTP/1.1 or HTTP/1.0")
    if hosts > 1 or (hosts == 0 and http_version == "1.1"):
        raise RequestRefused("expected exactly one host header")
    if lengths + encodings > 1:
        raise RequestRefused("more than one content-length or transfer-encoding")


def _aliases_ours(name: bytes) -> bool:
    """Whether a server that reads `_` as `-`, as CGI does, would take the field for one that is not the client's to
    set."""
    name = name.replace(b"_", b"-")
    return name in _END_HERE_OF_STRANGERS or _is_ours(name)


def _is_ours(name: bytes) -> bool:
    return name.startswith(b"x-") and name.startswith(_OURS_BY_PREFIX)  # one prefix is looked for faster than several


def _connection_options(fields: AnyFields) -> frozenset[bytes]:
    """The field names that `Connection` declares to be for this hop only."""
    named = _NOTHING
    for name, value in fields:
        if name == b"connection" and value not in _NAMING_NOTHING:
            named |= {option.strip().lower() for option in value.split(b",")}
    return named


def forwarded_fields(
    fields: AnyFields,
    request_id: bytes,
    client: str,
    scheme: str,
    body_length: int,
    version: str = "1.1",
    trusted: bool = False,
    chunked: bool = False,
) -> bytes:
    """The header section of a forwarded request, without its host line and its closing blank line.

    The client's fields in their order, multi-valued ones included, then ours. The body's framing is one content-length,
    unless it is passed on before its length is known: then it is `chunked`. `client` is the peer's address, "" where it
    has none; what a `trusted` peer says of whom it forwards for is added to, and what any other says of it is
    replaced, in whichever field. `version` is that of the request that came in, and goes behind the `Via` of those
    before us (RFC 9110 section 7.6.3)."""
    options = _connection_options(fields)
    end_here = _END_HERE if trusted else _END_HERE_OF_STRANGERS
    lines: list[bytes] = []
    host = b""
    framed = body_length > 0
    for name, value in fields:
        if name in end_here:
            if name == b"host":
                host = value
            elif name == b"content-length":
                framed = True
        elif not _is_ours(name) and (not options or name not in options):
            lines.append(b"%b: %b\r\n" % (name, value))
    lines.append(b"x-request-id: %b\r\nvia: %b penstock\r\n" % (request_id, version.encode()))
    if trusted:
        lines.append(_added_to(fields, client.encode(), scheme.encode(), host))
    else:
        lines.append(_forwarding(client.encode(), scheme.encode(), host))
    if chunked:
        lines.append(b"transfer-encoding: chunked\r\n")
    elif framed:
        lines.append(b"content-length: %d\r\n" % body_length)
    return b"".join(lines)


def _forwarding(client: bytes, scheme: bytes, host: bytes) -> bytes:
    if client and host:  # as nearly always
        return b"x-forwarded-proto: %b\r\nx-forwarded-for: %b\r\nx-forwarded-host: %b\r\n" % (scheme, client, host)
    lines = b"x-forwarded-proto: %b\r\n" % scheme
    if client:
        lines += b"x-forwarded-for: %b\r\n" % client
    if host:
        lines += b"x-forwarded-host: %b\r\n" % host
    return lines


def _added_to(fields: AnyFields, client: bytes, scheme: bytes, host: bytes) -> bytes:
    """What the peer says, with its own address behind those that it forwards for."""
    said = [(name, value) for name, value in fields if name.startswith(_FORWARDING)]
    ours = (b"x-forwarded-proto", b"x-forwarded-for", b"x-forwarded-host")
    before = [value for name, value in said if name == b"x-forwarded-for"]
    lines = _forwarding(
        b", ".join([*before, client] if client else before),
        first(said, b"x-forwarded-proto") or scheme,
        first(said, b"x-forwarded-host") or host,
    )
    return lines + b"".join(b"%b: %b\r\n" % field for field in said if field[0] not in ours)


SHADOW_MARK = b"x-penstock-shadow: 1\r\n"


def request_head(method: str, target: bytes, authority: str, fields: bytes) -> bytes:
    """A whole request head. The authority comes from the snapshot alone, never from the client."""
    return b"%b %b HTTP/1.1\r\nhost: %b\r\n%b\r\n" % (method.encode(), target, authority.encode(), fields)


def returned_fields(fields: Fields, status: int, ours: Fields) -> Fields:
    """The fields of an upstream's answer that the client gets, in order, with ours behind them. Names are lower case.

    A status without a body (RFC 9110 section 6.4.1) goes on without a content-length."""
    options = _connection_options(fields)
    if status in (204, 304):
        options |= {b"content-length"}
    kept = [
        field
        for field in fields
        if field[0] not in _NOT_BACK and not _is_ours(field[0]) and (not options or field[0] not in options)
    ]
    kept += ours
    return kept
