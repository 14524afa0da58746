"""Numbers as a page shows them."""

from __future__ import annotations

from memkit.evidence.reports.numbers import grouped, minus, power


def test_numbers_are_grouped_from_five_digits_on() -> None:
    assert (grouped(1234), grouped(-12345), grouped(12345.678, 1)) == ("1234", "-12 345", "12 345.7")


def test_signs_are_minus_signs_and_exponents_stand_above() -> None:
    assert (power(-12), minus("-0.5")) == ("10⁻¹²", "−0.5")
