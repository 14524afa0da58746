"""The shapes that plots consist of: each function returns SVG elements as text."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Sequence

_FONT = "font-family:system-ui,sans-serif"
_TRAILING_ZERO = re.compile(r"(?<=\d)\.0(?=[\"a-zA-Z -])")


def document(width: float, height: float, title: str, description: str, parts: Sequence[str]) -> str:
    """Return the ``<svg>`` element around ``parts``, with its text alternative; it shrinks with the page."""
    # A page may have a thousand pictures, so coordinates lose a trailing ".0". Numbers in visible text keep it.
    contents = re.sub(r"<[^>]*>", lambda tag: _TRAILING_ZERO.sub("", tag[0]), "".join(parts))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" viewBox="0 0 {width:.0f} {height:.0f}" '
        f'width="{width:.0f}" height="{height:.0f}" style="max-width:100%;height:auto;{_FONT}">'
        f"<title>{escaped(title)}</title><desc>{escaped(description)}</desc>{contents}</svg>"
    )


def text(
    x: float,
    y: float,
    content: str,
    *,
    size: float,
    weight: int = 400,
    anchor: str = "start",
    opacity: float = 1.0,
) -> str:
    """Return a line of text whose start, middle or end (``anchor``) is at x, y."""
    style = f' font-weight="{weight}"' if weight != 400 else ""
    style += f' text-anchor="{anchor}"' if anchor != "start" else ""
    style += f' fill-opacity="{opacity:g}"' if opacity != 1 else ""
    position = f'x="{x:.1f}" y="{y:.1f}" font-size="{size:g}" fill="currentColor"'
    return f"<text {position}{style}>{escaped(content)}</text>"


def dot(x: float, y: float, colour: str, *, title: str, is_used: bool, is_finite: bool) -> str:
    """Return the dot of a seed, for :func:`dots`: filled if it is used, hollow if not, a cross if it is not finite.

    A filled dot with a tooltip, ``title``, is an element; without one, only the data of a path. Both take their size
    and colour from :func:`dots`.
    """
    inner = f"<title>{escaped(title)}</title>" if title else ""
    if not is_finite:
        cross = f"M{x - 3.4:.1f} {y - 3.4:.1f}l6.8 6.8m0-6.8l-6.8 6.8"
        return f'<path d="{cross}" fill="none" stroke="currentColor" stroke-width="1.8">{inner}</path>'
    if is_used:
        return f'<path d="M{x:.0f} {y:.0f}h0">{inner}</path>' if inner else f"M{x:.0f} {y:.0f}h0"
    return (
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.1" fill="none" stroke="{colour}" stroke-width="1.2">{inner}</circle>'
    )


def dots(parts: Iterable[str], colour: str) -> str:
    """Return the group of the dots that :func:`dot` returned; filled dots without a tooltip become a single path."""
    # A page may have thousands of dots, so their common attributes are written once.
    parts = list(parts)
    elements = "".join(part for part in parts if part.startswith("<"))
    if points := "".join(part for part in parts if not part.startswith("<")):
        elements += f'<path d="{points}"/>'
    return f'<g stroke="{colour}" stroke-width="7" stroke-linecap="round">{elements}</g>'


def labels(texts: Iterable[tuple[float, float, str]], *, size: float, opacity: float, anchor: str = "middle") -> str:
    """Return the group of several texts, given as x, y and content; their start, middle or end is at x, y."""
    inner = "".join(f'<text x="{x:.0f}" y="{y:.0f}">{escaped(content)}</text>' for x, y, content in texts)
    return f'<g font-size="{size:g}" fill="currentColor" fill-opacity="{opacity:g}" text-anchor="{anchor}">{inner}</g>'


def vertical(x: float, top: float, bottom: float, *, opacity: float, dashed: bool = False) -> str:
    """Return a vertical line."""
    return _rule(x, top, x, bottom, opacity, dashed)


def horizontal(y: float, left: float, right: float, *, opacity: float) -> str:
    """Return a horizontal line."""
    return _rule(left, y, right, y, opacity, dashed=False)


def _rule(x1: float, y1: float, x2: float, y2: float, opacity: float, dashed: bool) -> str:
    dashes = ' stroke-dasharray="2 2"' if dashed else ""
    return (
        f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="currentColor" '
        f'stroke-opacity="{opacity:g}"{dashes}/>'
    )


def tick(x: float, y: float, half: float, colour: str) -> str:
    """Return the mark at the end of an interval: a vertical line from ``half`` above y to ``half`` below it."""
    return (
        f'<line x1="{x:.1f}" y1="{y - half:.1f}" x2="{x:.1f}" y2="{y + half:.1f}" stroke="{colour}" '
        'stroke-width="1.4"/>'
    )


def arrow(x: float, y: float, direction: int, colour: str) -> str:
    """Return an arrowhead that points to the left (``direction`` −1) or to the right (1)."""
    return f'<path d="M{x + 6 * direction:.1f} {y:.1f}l{-6 * direction} -4.5v9z" fill="{colour}"/>'


def width_of(text: str) -> float:
    """Return the width in pixels of a text in 12 px; an upper estimate, because the reader's font is not known."""
    return 7.2 * len(text)


def fitting(room: float, *, bold: bool = False) -> int:
    """Return how many characters in 12 px fit into ``room`` pixels; a lower estimate, as for :func:`width_of`."""
    return int(room / (7.6 if bold else 6.6))


def wrap(text: str, characters: int) -> list[str]:
    """Split ``text`` into lines of at most ``characters`` characters; a longer word gets a line of its own."""
    lines = [""]
    for word in text.split():
        if lines[-1] and len(lines[-1]) + 1 + len(word) > characters:
            lines.append("")
        lines[-1] = f"{lines[-1]} {word}".strip()
    return [line for line in lines if line]


def escaped(text: str) -> str:
    """Escape ``text`` for XML, and replace the characters that cannot be printed."""
    # Control characters are not allowed in XML, but the name of an arm may contain them.
    return html.escape("".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text))
