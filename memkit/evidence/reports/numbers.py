"""Numbers as a page shows them: with minus signs, grouped thousands and powers of ten."""

from __future__ import annotations


def minus(text: str) -> str:
    """Return the text with every hyphen replaced by a minus sign."""
    return text.replace("-", "−")


def grouped(value: float, places: int = 0) -> str:
    """Format a number with ``places`` decimals; from five digits on, thousands are grouped: ``12 345``."""
    text = f"{value:.{places}f}"
    return f"{value:,.{places}f}".replace(",", " ") if abs(value) >= 10_000 else text


def power(exponent: int) -> str:
    """Format a power of ten: ``10⁻³``."""
    return "10" + str(exponent).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))
