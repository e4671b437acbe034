"""What an operator writes is read exactly, or refused with what was expected."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gates.settings import notation
from gates.settings.notation import Address
from proxy.snapshot import Origin, UpstreamTls

Read = Callable[[object], object]


@pytest.mark.parametrize(
    ("read", "written", "value"),
    [
        (notation.duration, "250ms", 0.25),
        (notation.duration, "0.5ms", 0.0005),
        (notation.duration, "2s", 2.0),
        (notation.duration, "1.5m", 90.0),
        (notation.duration, "24h", 86_400.0),
        (notation.duration, "7d", 604_800.0),
        (notation.duration, 2, 2.0),
        (notation.duration, 0.25, 0.25),
        (notation.duration, 0, 0.0),
        (notation.latency, "250ms", 0.25),
        (notation.size, "64MiB", 64 * 1024 * 1024),
        (notation.size, "1.5KiB", 1536),
        (notation.size, "10MB", 10_000_000),
        (notation.size, "1kB", 1000),
        (notation.size, "1B", 1),
        (notation.size, 4096, 4096),
        (notation.basis_points, 0, 0),
        (notation.basis_points, 0.01, 1),
        (notation.basis_points, 0.07, 7),
        (notation.basis_points, 12.34, 1234),
        (notation.basis_points, 100, 10_000),
        (notation.share, "1%", 0.01),
        (notation.share, "0.05 %", 0.0005),
        (notation.largest_share, "94.9%", 0.949),
        (notation.smallest_share, "98%", 0.98),
        (notation.smallest_share, "99.999%", 0.99999),
        (notation.quantile, "p50", 0.5),
        (notation.quantile, "p99", 0.99),
        (notation.quantile, "p99.9", 0.999),
        (notation.address, "127.0.0.1:8080", Address("127.0.0.1", 8080)),
        (notation.address, "[::1]:8080", Address("::1", 8080)),
        (notation.address, "model_server.local:1", Address("model_server.local", 1)),
        (notation.origin, "http://127.0.0.1:5001", Origin("127.0.0.1", 5001)),
        (notation.origin, "http://model-server/", Origin("model-server", 80)),
        (notation.origin, "http://[::1]:5001/", Origin("::1", 5001)),
        (notation.origin, "https://model-server", Origin("model-server", 443, UpstreamTls())),
        (notation.origin, "https://model-server:8443/", Origin("model-server", 8443, UpstreamTls())),
        (notation.file, "tls/a b.crt", "tls/a b.crt"),
        (notation.network, "10.0.0.0/8", "10.0.0.0/8"),
        (notation.network, "192.0.2.7", "192.0.2.7/32"),
        (notation.network, "2001:db8::/32", "2001:db8::/32"),
        (notation.method, "POST", "POST"),
        (notation.path_end, ":predict", ":predict"),
        (notation.host, "Fraud.example.com", "fraud.example.com"),
        (notation.host, "[::1]", "::1"),
        (notation.path_prefix, "/", "/"),
        (notation.path_prefix, "/v2/models/fraud%20x/", "/v2/models/fraud%20x/"),
        (notation.path_prefix, "/-x", "/-x"),
        (notation.name, "fraud_detector.v-2", "fraud_detector.v-2"),
        (notation.version, "40", "40"),
        (notation.version, 40, "40"),
        (notation.reference, "@champion", "@champion"),
        (notation.header, "X-User-Id", "x-user-id"),
        (notation.header_value, "fraud v2", "fraud v2"),
        (notation.header_value, 2, "2"),
        (notation.cookie, "Session", "Session"),
        (notation.json_path, "user.id", "user.id"),
    ],
)
def test_a_lawful_value_is_read(read: Read, written: object, value: object) -> None:
    assert read(written) == value
    assert type(read(written)) is type(value)


def each(read: Read, expected: str, *written: object) -> list[tuple[Read, object, str]]:
    return [(read, value, expected) for value in written]


@pytest.mark.parametrize(
    ("read", "written", "expected"),
    [
        *each(notation.duration, "a duration such as", "2 s", "2", "s", "-1s", -1, True, "2S", [], "400d"),
        (notation.duration, "9" * 12 + "d", "at most 366d"),
        (notation.duration, "1s\n", "a duration such as"),
        *each(notation.latency, "with its unit", 250, 0.25, None),
        (notation.latency, "0ms", "above 0"),
        *each(notation.size, "a size such as", "64Mib", "64 MiB", 0, "0B", -1, 1.5, "0.1B", "2000GiB", False),
        *each(notation.basis_points, "without the % sign", "1%", -1, 100.01, "5", True),
        *each(notation.basis_points, "at most two decimals", 0.005, 12.345, 1e-9),
        *each(notation.share, "with its % sign", 1, 0.01, "1", "-1%", "%", "1 percent"),
        *each(notation.share, "more than 0% and less than 100%", "0%", "100%", "101%"),
        (notation.largest_share, "95%", "less than 95%"),
        (notation.smallest_share, "5%", "more than 5%"),
        *each(notation.quantile, "from p50 up", "p49", "99", 0.99, "p100", "p5", "p99.9999"),
        *each(notation.address, "host:port", 8080, ":8080", "*:8080", "::1:8080", "host", "a b:1"),
        *each(notation.address, "a port from 1 to 65535", "h:0", "h:65536"),
        *each(notation.address, "an IP address or a host", "1.2.3.256:1", "a..b:1", "-a:1", "[1.2.3.4]:1"),
        *each(
            notation.origin,
            "expected http://host:port or https://host:port, without path",
            "ftp://h",
            "http://h/v1",
            "http://u:p@h",
            "http://h?q",
            "h:1",
            5,
            "http://h\n",
            "http://",
        ),
        (notation.origin, "http://h:0", "a port from 1 to 65535"),
        *each(notation.network, "a network or an address", "h", "", 10),
        *each(notation.network, "such as 10.0.0.0/8: 10.0.0.1/8 has host bits set", "10.0.0.1/8"),
        *each(notation.method, "a method", "post", "", "A B", 5),
        *each(notation.path_end, "the end of a path", "", "/a?b", "a b", 5),
        *each(notation.file, "the path of a file", "", "a\n", 5),
        *each(notation.host, "a host without a port", "h:80", "*.h", "", "a b", 5),
        *each(notation.header_value, "of visible characters", "", " a", "a ", "a\n", "\u00e9", True),
        *each(notation.path_prefix, "starts with /", "", "a", "//", "/a//b", "/a b", "/a/../b", "/a?b", 5),
        *each(notation.path_prefix, "the proxy's own", "/-", "/-/", "/-/live"),
        *each(notation.name, "a name of letters", "", "a b", "a/b", ".a", "x" * 129, 5, "é"),
        *each(notation.version, "a version", "@x", -1, 1.0, True, "4 0"),
        *each(notation.reference, "a version", "@", "@@x", 1.5),
        *each(notation.header, "a header's name", "", "a b", "a:", "é"),
        *each(notation.json_path, "a dotted path", "", ".a", "a..b", "a b", 5),
        *each(notation.title, "a text", "", " a", "x" * 251, 5),
    ],
)
def test_an_unlawful_value_is_refused_with_what_was_expected(read: Read, written: object, expected: str) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - what it says is checked below
        read(written)
    assert expected in str(caught.value)
    assert len(str(caught.value)) < 200


def test_every_basis_point_is_read_back_exactly() -> None:
    assert [notation.basis_points(points / 100) for points in range(10_001)] == list(range(10_001))


@given(st.integers(1, 10**8))
def test_a_duration_is_the_same_in_each_unit(milliseconds: int) -> None:
    assert notation.duration(f"{milliseconds}ms") == notation.duration(milliseconds / 1000)
    assert notation.duration(f"{milliseconds}ms") == milliseconds / 1000


@given(st.from_regex(notation.ADDRESS, fullmatch=True))
def test_an_address_reads_back_as_it_is_shown(written: str) -> None:
    try:
        address = notation.address(written)
    except ValueError:
        return
    assert notation.address(str(address)) == address


ANYTHING = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=50) | st.lists(st.integers(), max_size=2)
)
READERS = [
    *(notation.duration, notation.latency, notation.size, notation.basis_points, notation.share, notation.quantile),
    *(notation.address, notation.origin, notation.path_prefix, notation.name, notation.version, notation.header),
]


@given(value=ANYTHING, read=st.sampled_from(READERS))
@example(value=float("nan"), read=notation.duration)
@example(value=1e300, read=notation.size)
def test_anything_else_is_a_value_error(value: object, read: Read) -> None:
    with suppress(ValueError):
        assert read(value) is not None
