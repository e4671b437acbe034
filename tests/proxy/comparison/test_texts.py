from __future__ import annotations

from time import thread_time

import pytest

from proxy.comparison.texts import normalised, text_difference

SPELT = "\u0635\u0644\u0649 \u0627\u0644\u0644\u0647 \u0639\u0644\u064a\u0647 \u0648\u0633\u0644\u0645"
PHRASE = "\N{ARABIC LIGATURE SALLALLAHOU ALAYHE WASALLAM}"  # one character, of which NFKC makes eighteen


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Yes, it  is.", "yes, it is."),
        ("caf\u00e9", "cafe\u0301"),
        ("\uff21\uff22\uff01", "ab!"),
        ("a\u00a0b\u3000c", "A B C"),
        (f"so it says {PHRASE}", f"So it says {SPELT}"),
        ("cafe\u0301 " * 500, "caf\u00e9 " * 500),
        (" " + "\uff41" * 300 + " b", "a" * 300 + " b "),
    ],
)
def test_what_reads_the_same_is_the_same(one: str, other: str) -> None:
    assert normalised(one) == normalised(other)
    assert text_difference(one, other, 1.0) == ""


def test_normalising_a_text_does_not_blow_it_up() -> None:
    assert len(normalised(PHRASE * 10_000)) < 20_000


def test_marks_out_of_order_do_not_hold_up_whoever_compares_them() -> None:
    """To order n marks on one letter takes n * n steps."""

    def seconds(text: str) -> float:
        start = thread_time()
        text_difference(text, text + "x", 0.8)
        return thread_time() - start

    plain = min(seconds("\u00e9 a" * 4_000) for _ in range(3))
    assert seconds("a" + "\u0300" * 6_000 + "\u0316" * 6_000) < 20 * plain
