"""Numbers as a page shows them: minus signs, thousands apart, powers of ten."""

from __future__ import annotations


def minus(text: str) -> str:
    """Return the text with minus signs for hyphens."""
    return text.replace("-", "−")


def grouped(value: float, places: int = 0) -> str:
    """Return ``12 345``: thousands apart, from five digits on."""
    text = f"{value:.{places}f}"
    return f"{value:,.{places}f}".replace(",", " ") if abs(value) >= 10_000 else text


def power(exponent: int) -> str:
    """Return ``10⁻³``."""
    return "10" + str(exponent).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))
