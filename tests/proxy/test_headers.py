from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.errors import RequestRefused
from proxy.headers import (
    CLIENT_ADDRESS,
    HOP_BY_HOP,
    OURS,
    Fields,
    check_request,
    first,
    forwarded_fields,
    request_head,
    request_id,
    returned_fields,
)

HOST = (b"host", b"api.test")
tokens = st.sampled_from([b"a", b"b", b"cookie", b"x-tag"]) | st.from_regex(rb"\A[a-z0-9!#$%&'*+.^`|~-]{1,12}\Z")
values = st.from_regex(rb"\A[ -~]{0,12}\Z")
names = tokens | st.sampled_from([*sorted(HOP_BY_HOP | OURS), b"via", b"x-forwarded-for", b"x-penstock-variant"])
fields = st.lists(st.tuples(names, values) | st.tuples(st.just(b"connection"), names), max_size=8)


def _lines(head: bytes) -> list[tuple[bytes, bytes]]:
    lines = head.split(b"\r\n")
    assert lines.pop() == b""
    return [(name, value) for name, _, value in (line.partition(b": ") for line in lines)]


def _forwarded(*sent: tuple[bytes, bytes], client: str = "192.0.2.7", length: int = 0) -> list[tuple[bytes, bytes]]:
    return _lines(forwarded_fields([HOST, *sent], b"id-1", client, "http", length))


def _theirs(lines: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    ours = ("x-request-id", "x-forwarded-proto", "x-forwarded-for", "x-forwarded-host", "content-length")
    lines = [line for line in lines if line != (b"via", b"1.1 penstock")]
    return [(name, value) for name, value in lines if name.decode() not in ours]


@pytest.mark.parametrize(
    "sent",
    [
        [HOST, HOST],
        [HOST, (b"host", b"other.test")],
        [],
        [(b"host", b"a b/../c")],
        [(b"host", b"evil@x, y")],
        [(b"host", b"a, b")],
        [(b"host", b"a/b")],
        [(b"host", b"a?b")],
        [(b"host", b"a\\b")],
        [(b"host", b"a:80:81")],
        [(b"host", b"a:x")],
        [(b"host", b"[::1")],
        [(b"host", b"[::1]x")],
        [(b"host", b"::1")],
        [(b"host", b"\xc3\xa9")],
        [HOST, (b"content-length", b"3"), (b"content-length", b"3")],
        [HOST, (b"content-length", b"3"), (b"transfer-encoding", b"chunked")],
        [HOST, (b"transfer-encoding", b"chunked"), (b"transfer-encoding", b"chunked")],
        [HOST, (b"transfer-encoding", b"gzip, chunked")],
        [HOST, (b"transfer-encoding", b"identity")],
        [HOST, (b"content-length", b"+3")],
        [HOST, (b"content-length", b"3, 3")],
        [HOST, (b"content-length", b"0x3")],
        [HOST, (b"content-length", b"")],
        [HOST, (b"x_forwarded_for", b"10.0.0.1")],
        [HOST, (b"x-forwarded_for", b"10.0.0.1")],
        [HOST, (b"x_penstock_shadow", b"1")],
        [HOST, (b"x_request_id", b"1")],
        [HOST, (b"content_length", b"3")],
        [HOST, (b"x_real_ip", b"10.0.0.1")],
        [HOST, (b"transfer_encoding", b"chunked")],
        [HOST, (b"a b", b"c")],
        [HOST, (b"a(b)", b"c")],
        [HOST, (b"", b"c")],
    ],
    ids=str,
)
def test_what_two_parsers_could_read_in_two_ways_is_refused(sent: Fields) -> None:
    with pytest.raises(RequestRefused):
        check_request(sent, "1.1")


@pytest.mark.parametrize("version", ["0.9", "1.2", "2.0"])
def test_other_versions_are_refused(version: str) -> None:
    with pytest.raises(RequestRefused, match="HTTP"):
        check_request([HOST], version)


@pytest.mark.parametrize(
    ("sent", "version"),
    [
        ([HOST], "1.1"),
        ([], "1.0"),
        ([(b"host", b"")], "1.1"),  # of a target that has no authority (RFC 9112 section 3.2)
        ([(b"host", b"Fraud-EU_1.example.com.:8443")], "1.1"),
        ([(b"host", b"192.0.2.7:80")], "1.1"),
        ([(b"host", b"[2001:db8::7]")], "1.1"),
        ([(b"host", b"[::ffff:192.0.2.7]:80")], "1.1"),
        ([HOST, (b"transfer-encoding", b"Chunked")], "1.1"),
        ([HOST, (b"content-length", b"0")], "1.1"),
        ([HOST, (b"my_key", b"v"), (b"my_key", b"w")], "1.1"),
    ],
)
def test_lawful_requests_pass(sent: Fields, version: str) -> None:
    check_request(sent, version)


@pytest.mark.parametrize(
    ("claimed", "taken"),
    [
        (b"abc-123", b"abc-123"),
        (b"A.b_c:d-" * 16, b"A.b_c:d-" * 16),
        (b"a" * 129, b""),
        (b"", b""),
        (b"two words", b""),
        (b"a\tb", b""),
        (b'"><script>', b""),
        (b"\xff", b""),
    ],
)
def test_a_request_id_is_taken_if_it_is_sane(claimed: bytes, taken: bytes) -> None:
    assert request_id([(b"x-request-id", claimed)]) == taken


def test_the_first_of_several_values_is_found() -> None:
    assert first([(b"a", b"1"), (b"b", b"2"), (b"b", b"3")], b"b") == b"2"
    assert first([], b"b") == b""


def test_the_clients_fields_go_on_in_order_and_repeated() -> None:
    sent = [(b"accept", b"a"), (b"x-tag", b"2"), (b"cookie", b"c=1"), (b"x-tag", b"1"), (b"x-tag", b"2")]
    assert _theirs(_forwarded(*sent)) == sent


@pytest.mark.parametrize("name", sorted(HOP_BY_HOP))
def test_hop_by_hop_fields_end_here(name: bytes) -> None:
    assert name not in dict(_forwarded((name, b"x")))


def test_fields_that_connection_names_end_here() -> None:
    sent = [(b"connection", b"close, X-One"), (b"x-one", b"1"), (b"x-two", b"2"), (b"connection", b" x-two ")]
    assert _theirs(_forwarded(*sent, (b"x-three", b"3"))) == [(b"x-three", b"3")]


def test_no_client_speaks_for_the_proxy() -> None:
    forged = [
        (b"x-forwarded-for", b"10.0.0.1"),
        (b"x-forwarded-host", b"evil.test"),
        (b"x-forwarded-proto", b"https"),
        (b"x-forwarded-user", b"root"),
        (b"forwarded", b"for=10.0.0.1"),
        (b"x-request-id", b"theirs"),
        (b"x-penstock-shadow", b"1"),
        (b"x-penstock-variant", b"candidate"),
    ]
    assert _forwarded(*forged) == [
        (b"x-request-id", b"id-1"),
        (b"via", b"1.1 penstock"),
        (b"x-forwarded-proto", b"http"),
        (b"x-forwarded-for", b"192.0.2.7"),
        (b"x-forwarded-host", b"api.test"),
    ]


CLAIMS = [(name, b"10.0.0.1") for name in sorted(CLIENT_ADDRESS)]


def test_the_fields_that_servers_believe_are_known() -> None:
    believed = b"x-real-ip x-client-ip x-cluster-client-ip true-client-ip cf-connecting-ip".split()
    assert CLIENT_ADDRESS.issuperset(believed)


def test_a_client_chooses_no_address_for_itself() -> None:
    assert _theirs(_forwarded(*CLAIMS, (b"x-real", b"1"))) == [(b"x-real", b"1")]


def test_a_trusted_peer_tells_its_clients_address_as_it_likes() -> None:
    lines = _lines(forwarded_fields([HOST, *CLAIMS], b"id-1", "10.0.0.9", "http", 0, trusted=True))
    assert _theirs(lines) == CLAIMS


def test_via_tells_all_who_passed_the_request_on_in_order() -> None:
    sent = [(b"via", b"1.0 edge, 1.1 cdn"), (b"via", b"1.1 ingress")]
    lines = _lines(forwarded_fields([HOST, *sent], b"id-1", "", "http", 0, version="1.0"))
    assert [value for name, value in lines if name == b"via"] == [b"1.0 edge, 1.1 cdn", b"1.1 ingress", b"1.0 penstock"]


def _trusted(*sent: tuple[bytes, bytes], client: str = "10.0.0.9") -> list[tuple[bytes, bytes]]:
    lines = _lines(forwarded_fields([HOST, *sent], b"id-1", client, "http", 0, trusted=True))
    return [field for field in lines if field[0].startswith(b"x-forwarded-") or field[0] == b"forwarded"]


def test_what_a_trusted_peer_says_is_added_to() -> None:
    said = [
        (b"x-forwarded-for", b"192.0.2.7"),
        (b"x-forwarded-for", b"198.51.100.1, 10.0.0.8"),
        (b"x-forwarded-proto", b"https"),
        (b"x-forwarded-host", b"shop.test"),
        (b"x-forwarded-port", b"443"),
        (b"forwarded", b"for=192.0.2.7"),
    ]
    assert _trusted(*said) == [
        (b"x-forwarded-proto", b"https"),
        (b"x-forwarded-for", b"192.0.2.7, 198.51.100.1, 10.0.0.8, 10.0.0.9"),
        (b"x-forwarded-host", b"shop.test"),
        (b"x-forwarded-port", b"443"),
    ]
    assert _trusted(said[0], client="") == [
        (b"x-forwarded-proto", b"http"),
        (b"x-forwarded-for", b"192.0.2.7"),
        (b"x-forwarded-host", b"api.test"),
    ]


def test_a_trusted_peer_that_says_nothing_is_the_client() -> None:
    assert _trusted() == [
        (b"x-forwarded-proto", b"http"),
        (b"x-forwarded-for", b"10.0.0.9"),
        (b"x-forwarded-host", b"api.test"),
    ]


def test_a_client_without_an_address_has_no_forwarded_for() -> None:
    assert b"x-forwarded-for" not in dict(_forwarded(client=""))


@pytest.mark.parametrize(
    ("sent", "length", "framed"),
    [
        ([(b"content-length", b"7")], 7, b"7"),
        ([(b"transfer-encoding", b"chunked")], 9, b"9"),
        ([(b"content-length", b"0")], 0, b"0"),
        ([], 0, None),
    ],
)
def test_the_body_is_framed_anew(sent: Fields, length: int, framed: bytes | None) -> None:
    assert dict(_forwarded(*sent, length=length)).get(b"content-length") == framed


@given(fields)
def test_what_goes_on_is_what_came_less_what_ends_here(sent: Fields) -> None:
    named = {option.strip().lower() for name, value in sent if name == b"connection" for option in value.split(b",")}
    ended = HOP_BY_HOP | OURS | named
    kept = [
        (name, value)
        for name, value in sent
        if name not in ended and not name.startswith((b"x-forwarded-", b"x-penstock-"))
    ]
    forwarded = _forwarded(*sent)
    assert forwarded[: len(kept)] == kept
    assert len(_theirs(forwarded)) == len(kept)


@given(fields, st.sampled_from([200, 204, 304, 404, 500]))
def test_what_comes_back_is_what_was_sent_less_what_ends_here(sent: Fields, status: int) -> None:
    ours = [(b"x-request-id", b"id-1")]
    named = {option.strip().lower() for name, value in sent if name == b"connection" for option in value.split(b",")}
    ended = HOP_BY_HOP | named | {b"x-request-id"} | ({b"content-length"} if status in (204, 304) else set())
    kept = [
        (name, value)
        for name, value in sent
        if name not in ended and not name.startswith((b"x-forwarded-", b"x-penstock-"))
    ]
    assert returned_fields(sent, status, ours) == kept + ours


def test_the_authority_is_the_upstreams_alone() -> None:
    head = request_head("GET", b"/a%2Fb?c", "10.0.0.7:8080", forwarded_fields([HOST], b"id-1", "", "http", 0))
    assert head.startswith(b"GET /a%2Fb?c HTTP/1.1\r\nhost: 10.0.0.7:8080\r\n")
    assert head.count(b"\r\nhost:") == 1
    assert head.endswith(b"\r\n\r\n")
