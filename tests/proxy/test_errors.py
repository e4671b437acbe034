from __future__ import annotations

import pytest

from proxy.errors import HeadTooLarge, PenstockError, RequestLate, RequestRefused, TargetTooLong, UpstreamFailed


def _family(root: type[PenstockError]) -> list[type[PenstockError]]:
    return [root, *(member for child in root.__subclasses__() for member in _family(child))]


@pytest.mark.parametrize("kind", _family(PenstockError), ids=lambda kind: kind.__name__)
def test_every_error_names_a_status_that_is_one(kind: type[PenstockError]) -> None:
    assert 400 <= kind.status <= 599
    assert kind.code.replace("_", "").isalpha()


def test_a_code_stands_for_one_error_alone() -> None:
    codes = [kind.code for kind in _family(PenstockError)]
    assert len(codes) == len(set(codes))


def test_what_the_client_did_is_a_4xx() -> None:
    kinds = _family(RequestRefused)
    assert {HeadTooLarge, RequestLate, TargetTooLong} <= set(kinds)
    assert all(400 <= kind.status < 500 for kind in kinds)


def test_what_an_upstream_did_is_a_gateway_status() -> None:
    assert {kind.status for kind in _family(UpstreamFailed)} == {502, 503, 504}
