"""How an operator writes durations, sizes, shares and addresses.

Each function takes a value as YAML gave it and raises ValueError with what it expected. The patterns are regular
expressions that Python and JSON Schema read alike.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from gates.evidence import LARGEST_RATE
from proxy.snapshot import BASIS_POINTS, Origin, UpstreamTls

DURATION = r"^[0-9]{1,12}(\.[0-9]{1,9})?(ms|s|m|h|d)$"
SIZE = r"^[0-9]{1,12}(\.[0-9]{1,9})?(B|kB|KB|MB|GB|KiB|MiB|GiB)$"
SHARE = r"^[0-9]{1,3}(\.[0-9]{1,9})? ?%$"
QUANTILE = r"^p[5-9][0-9](\.[0-9]{1,3})?$"
ADDRESS = r"^(\[[0-9A-Fa-f:.]+\]|[0-9A-Za-z._-]+):([0-9]{1,5})$"
ORIGIN = r"^https?://(\[[0-9A-Fa-f:.]+\]|[0-9A-Za-z._-]+)(:([0-9]{1,5}))?/?$"
HOST = r"^(\[[0-9A-Fa-f:.]+\]|[0-9A-Za-z._-]+)$"
PATH_PREFIX = r"^/$|^(/[0-9A-Za-z._~%:@!$&'()*+,;=-]+)+/?$"
FILE = r"^[^\x00-\x1f]{1,1024}$"
NAME = r"^[0-9A-Za-z][0-9A-Za-z._-]{0,127}$"
REFERENCE = r"^@?[0-9A-Za-z][0-9A-Za-z._-]{0,127}$"
TITLE = r"^\S.{0,249}$"
NETWORK = r"^[0-9A-Fa-f:.]+(/[0-9]{1,3})?$"
METHOD = r"^[A-Z]{1,32}$"
PATH_END = r"^[0-9A-Za-z._~:/@!$&'()*+,;=-]{1,256}$"
VALUE = r"^[!-~]([ -~]{0,254}[!-~])?$"
TOKEN = r"^[0-9A-Za-z!#$%&'*+.^_`|~-]{1,128}$"
JSON_PATH = r"^[^.\s]+(\.[^.\s]+)*$"

_LONGEST = 366 * 86_400
_LARGEST = 1024**4
_Units = Mapping[str, int | Decimal]
_SECONDS: _Units = {"ms": Decimal("0.001"), "s": 1, "m": 60, "h": 3600, "d": 86_400}
_BYTES: _Units = {"B": 1, "kB": 10**3, "KB": 10**3, "MB": 10**6, "GB": 10**9, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}


@dataclass(frozen=True, slots=True)
class Address:
    """Where a server of our own listens."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def found(value: object) -> str:
    """A value in a few words for a message; long texts are cut."""
    if isinstance(value, dict | list):
        return "a mapping" if isinstance(value, dict) else "a list"
    if isinstance(value, bool):
        return "true" if value else "false"
    return repr(value if not isinstance(value, str) or len(value) <= 40 else f"{value[:40]}...")


def duration(value: object) -> float:
    """Seconds, of `250ms`, `2s`, `30m`, `24h`, `7d` or a plain number of seconds."""
    seconds = _quantity(value, DURATION, _SECONDS)
    if seconds is None or not 0 <= seconds <= _LONGEST:
        raise _expected("a duration such as 250ms, 2s, 30m or 24h, and at most 366d", value)
    return float(seconds)


def above_zero(seconds: float) -> float:
    if seconds <= 0:
        raise ValueError("expected a duration above 0")
    return seconds


def latency(value: object) -> float:
    """Seconds, and never a number without a unit: 250 could be meant as seconds or as milliseconds."""
    if not isinstance(value, str):
        raise _expected("a duration with its unit, such as 250ms", value)
    return above_zero(duration(value))


def size(value: object) -> int:
    """Bytes, of `64MiB`, `10MB` or a plain number of bytes."""
    count = _quantity(value, SIZE, _BYTES)
    if count is None or not 1 <= count <= _LARGEST or count % 1:
        raise _expected("a size such as 64MiB, 512KiB or 10MB, of at least 1 byte and at most 1024GiB", value)
    return int(count)


def basis_points(value: object) -> int:
    """Hundredths of a percent, of a percentage from 0 to 100."""
    percent = _number(value)
    if percent is None or not 0 <= percent <= 100:
        raise _expected("a percentage from 0 to 100 without the % sign, such as 5 or 0.5", value)
    if percent * 100 % 1:
        raise _expected("a percentage with at most two decimals", value)
    return int(percent * BASIS_POINTS / 100)


def share(value: object) -> float:
    """A share between 0 and 1, of `1%`; a bare 1 could be meant as 1 % or as all, and is refused."""
    if not isinstance(value, str) or not re.fullmatch(SHARE, value):
        raise _expected("a percentage with its % sign, such as 1% or 0.5%", value)
    part = Decimal(value.rstrip("% ")) / 100
    if not 0 < part < 1:
        raise _expected("more than 0% and less than 100%", value)
    return float(part)


def part(value: object) -> float:
    """0.05, of `5%`; from nothing to all."""
    if not isinstance(value, str) or not re.fullmatch(SHARE, value) or Decimal(value.rstrip("% ")) > 100:
        raise _expected("a percentage with its % sign, from 0% to 100%", value)
    return float(Decimal(value.rstrip("% ")) / 100)


def largest_share(value: object) -> float:
    """The bound of a rate, small enough that evidence can be had against it."""
    part = share(value)
    if part >= LARGEST_RATE:
        raise _expected(f"less than {LARGEST_RATE:.0%}, as no number of requests can decide it otherwise", value)
    return part


def smallest_share(value: object) -> float:
    """What the rate of the contrary may leave over."""
    part = share(value)
    if not 0 < 1 - part < LARGEST_RATE:
        raise _expected(f"more than {1 - LARGEST_RATE:.0%}, as no number of requests can decide it otherwise", value)
    return part


def margin(value: object) -> float:
    """A part to be added, 0.5 of `50%`; it may be more than all, up to 999 %."""
    if not isinstance(value, str) or not re.fullmatch(SHARE, value):
        raise _expected("a percentage with its % sign, such as 50%", value)
    return float(Decimal(value.rstrip("% ")) / 100)


def threshold(value: object) -> float | str:
    """0.5, or the name of one of the policy's."""
    if isinstance(value, str):
        return name(value)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1:
        raise _expected("more than 0 and less than 1, or the name of a policy's threshold", value)
    return float(value)


def quantile(value: object) -> float:
    """0.99, of `p99`; nothing below the median."""
    if not isinstance(value, str) or not re.fullmatch(QUANTILE, value):
        raise _expected("a quantile from p50 up, such as p99 or p99.9", value)
    return float(Decimal(value[1:]) / 100)


def address(value: object) -> Address:
    if not (isinstance(value, str) and (match := re.fullmatch(ADDRESS, value))):
        raise _expected("host:port, such as 127.0.0.1:8080, 0.0.0.0:8080 or [::1]:8080", value)
    return Address(_host(match[1]), _port(match[2]))


def origin(value: object) -> Origin:
    """A model server's base URL. The message never repeats the value, which may hold a password."""
    if not (isinstance(value, str) and (match := re.fullmatch(ORIGIN, value))):
        raise ValueError("expected http://host:port or https://host:port, without path, query or user")
    secure = value.startswith("https:")
    port = _port(match[3] or ("443" if secure else "80"))
    return Origin(_host(match[1]), port, UpstreamTls() if secure else None)


def host(value: object) -> str:
    """A host's name or address as clients ask for it, in lower case."""
    if not (isinstance(value, str) and re.fullmatch(HOST, value)):
        raise _expected("a host without a port, such as fraud.example.com", value)
    return _host(value).lower()


def network(value: object) -> str:
    """A network or an address, as `ipaddress` writes it."""
    if not (isinstance(value, str) and re.fullmatch(NETWORK, value)):
        raise _expected("a network or an address, such as 10.0.0.0/8 or 192.0.2.7", value)
    try:
        return str(ipaddress.ip_network(value))
    except ValueError as error:
        raise ValueError(f"expected a network such as 10.0.0.0/8: {error}") from None


def path_prefix(value: object) -> str:
    if not (isinstance(value, str) and re.fullmatch(PATH_PREFIX, value)) or {".", ".."} & set(value.split("/")):
        raise _expected("a path that starts with /, such as / or /fraud", value)
    if value.startswith("/-/") or value == "/-":
        raise ValueError("paths below /-/ are the proxy's own")
    return value


def file(value: object) -> str:
    return _text(value, FILE, "the path of a file")


def method(value: object) -> str:
    return _text(value, METHOD, "a method, such as POST")


def path_end(value: object) -> str:
    return _text(value, PATH_END, "the end of a path, such as /invocations or :predict")


def name(value: object) -> str:
    return _text(value, NAME, "a name of letters, digits, '.', '_' and '-'")


def version(value: object) -> str:
    return _text(str(value) if type(value) is int else value, NAME, 'a version, such as "42"')


def reference(value: object) -> str:
    """A version, or an alias such as `@champion`."""
    return _text(str(value) if type(value) is int else value, REFERENCE, 'a version, such as "42", or "@alias"')


def title(value: object) -> str:
    return _text(value, TITLE, "a text of at most 250 characters")


def header(value: object) -> str:
    """In lower case, as ASGI has header names."""
    return _text(value, TOKEN, "a header's name").lower()


def header_value(value: object) -> str:
    return _text(str(value) if type(value) is int else value, VALUE, "a header's value, of visible characters")


def cookie(value: object) -> str:
    return _text(value, TOKEN, "a cookie's name")


def json_path(value: object) -> str:
    return _text(value, JSON_PATH, "a dotted path of keys, such as user.id")


def _expected(what: str, value: object) -> ValueError:
    return ValueError(f"expected {what}, found {found(value)}")


def _text(value: object, pattern: str, what: str) -> str:
    if not (isinstance(value, str) and re.fullmatch(pattern, value)):
        raise _expected(what, value)
    return value


def _number(value: object) -> Decimal | None:
    """Exact, as written: 0.07 is 7/100. None for what is no finite number; a boolean is none."""
    number = Decimal(str(value)) if type(value) in (int, float) else None
    return number if number is not None and number.is_finite() else None


def _quantity(value: object, pattern: str, units: _Units) -> Decimal | None:
    if not (isinstance(value, str) and (match := re.fullmatch(pattern, value))):
        return _number(value)
    unit = match[2]
    return Decimal(value.removesuffix(unit)) * units[unit]


def _host(text: str) -> str:
    """Raises ValueError for what is neither an IP address nor a host's name (RFC 1123, and with underscores)."""
    try:
        return str(ipaddress.IPv6Address(text[1:-1]) if text.startswith("[") else ipaddress.IPv4Address(text))
    except ValueError:
        labels = text.split(".")
        lawful = all(re.fullmatch(r"[0-9A-Za-z_]([0-9A-Za-z_-]{0,61}[0-9A-Za-z_])?", label) for label in labels)
        if not lawful or len(text) > 253 or labels[-1].isdigit():
            raise ValueError("expected an IP address or a host's name") from None
    return text


def _port(text: str) -> int:
    if not 1 <= int(text) <= 65_535:
        raise ValueError(f"expected a port from 1 to 65535, found {text}")
    return int(text)
