"""Numbers of a table: four digits, aligned where they can be, whole numbers to their last."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memkit.evidence.figures import LARGEST, Table
from memkit.evidence.reports.table_cells import significant, table_cells


def column(*cells: Any) -> list[str]:
    return [texts[0] for _, texts in table_cells(Table("t", ["c"], [("r", cell) for cell in cells])).rows]


@pytest.mark.parametrize(
    ("cells", "texts"),
    [
        ((0.95, 0.87654, 1.0), ["0.9500", "0.8765", "1.0000"]),
        ((0.05, -1.0, 0.0), ["0.0500", "−1.0000", "0.0000"]),
        ((95.123, 7.5), ["95.12", "7.50"]),
        ((123.456, 99.96), ["123.5", "100.0"]),
        ((1.2345, 0.00012345), ["1.234", "0.0001234"]),
        ((12345.6, 3.0), ["12 346", "3.000"]),
        ((1.2345e9, 1.5e-7), ["1.234 × 10⁹", "1.500 × 10⁻⁷"]),
        ((1000, 10_000, None, 0.5), ["1000", "10 000", "–", "0.5000"]),
        ((-86536, 123456789012), ["−86 536", "123 456 789 012"]),
        ((None, None), ["–", "–"]),
        ((0.0,), ["0"]),
    ],
)
def test_a_column_of_numbers(cells: tuple[Any, ...], texts: list[str]) -> None:
    assert column(*cells) == texts


@given(st.floats(-LARGEST, LARGEST, allow_nan=False).filter(bool))
def test_a_number_keeps_four_digits(value: float) -> None:
    mantissa, _, exponent = significant(value).replace("−", "-").replace(" ", "").partition("×10")
    digits = exponent.translate(str.maketrans("⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "-0123456789"))
    assert float(f"{mantissa}e{digits or 0}") == pytest.approx(value, rel=6e-4)


def test_numbers_are_aligned_on_the_right_and_texts_on_the_left() -> None:
    table = Table("t", ["n", "mixed", "word", "none"], [("a", 1, 0.5, "nats", None), ("b", None, "n/a", None, None)])
    assert table_cells(table).columns == (("n", True), ("mixed", True), ("word", False), ("none", False))


def test_what_cannot_be_printed_is_replaced() -> None:
    cells = table_cells(Table("t", ["a\x00b"], [("\u202ec", "\x1b[31m")]))
    assert cells.columns == (("a�b", False),)
    assert cells.rows == (("�c", ("�[31m",)),)
