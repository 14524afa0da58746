"""The shapes that plots are drawn of: each function gives an SVG element as text."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Sequence

_FONT = "font-family:system-ui,sans-serif"
_WHOLE = re.compile(r"(?<=\d)\.0(?=[\"a-zA-Z -])")  # in an attribute; what is said in text keeps its digits


def document(width: float, height: float, title: str, described: str, parts: Sequence[str]) -> str:
    """Return the ``<svg>`` element around ``parts``; it shrinks with the page, and says in words what it shows."""
    # A page may have a thousand pictures: coordinates that are whole numbers are written as such.
    drawn = re.sub(r"<[^>]*>", lambda tag: _WHOLE.sub("", tag[0]), "".join(parts))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" viewBox="0 0 {width:.0f} {height:.0f}" '
        f'width="{width:.0f}" height="{height:.0f}" style="max-width:100%;height:auto;{_FONT}">'
        f"<title>{escaped(title)}</title><desc>{escaped(described)}</desc>{drawn}</svg>"
    )


def text(
    x: float,
    y: float,
    said: str,
    *,
    size: float,
    weight: int = 400,
    anchor: str = "start",
    opacity: float = 1.0,
) -> str:
    """Return a line of text that begins, has its middle, or ends (``anchor``) at x, y."""
    extra = f' font-weight="{weight}"' if weight != 400 else ""
    extra += f' text-anchor="{anchor}"' if anchor != "start" else ""
    extra += f' fill-opacity="{opacity:g}"' if opacity != 1 else ""
    place = f'x="{x:.1f}" y="{y:.1f}" font-size="{size:g}" fill="currentColor"'
    return f"<text {place}{extra}>{escaped(said)}</text>"


def dot(x: float, y: float, colour: str, *, title: str, used: bool, broken: bool) -> str:
    """Return the dot of a seed: filled where used, hollow where not, a cross where the value was not finite.

    ``title`` is its tooltip; "": none.

    A filled one is a point, as thick and of such a colour as what is around it: see :func:`dots`.
    """
    inner = f"<title>{escaped(title)}</title>" if title else ""
    if broken:
        cross = f"M{x - 3.4:.1f} {y - 3.4:.1f}l6.8 6.8m0-6.8l-6.8 6.8"
        return f'<path d="{cross}" fill="none" stroke="currentColor" stroke-width="1.8">{inner}</path>'
    if used:
        return f'<path d="M{x:.0f} {y:.0f}h0">{inner}</path>' if inner else f"M{x:.0f} {y:.0f}h0"
    return (
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.1" fill="none" stroke="{colour}" stroke-width="1.2">{inner}</circle>'
    )


def dots(parts: Iterable[str], colour: str) -> str:
    """Return filled dots in one colour; what they have in common is said once, since a page may have thousands.

    Those without a tooltip are parts of one path.
    """
    parts = list(parts)
    shown = "".join(part for part in parts if part.startswith("<"))
    if points := "".join(part for part in parts if not part.startswith("<")):
        shown += f'<path d="{points}"/>'
    return f'<g stroke="{colour}" stroke-width="7" stroke-linecap="round">{shown}</g>'


def labels(places: Iterable[tuple[float, float, str]], *, size: float, opacity: float, anchor: str = "middle") -> str:
    """Return texts that begin, have their middles, or end (``anchor``) at x, y."""
    shown = "".join(f'<text x="{x:.0f}" y="{y:.0f}">{escaped(said)}</text>' for x, y, said in places)
    return f'<g font-size="{size:g}" fill="currentColor" fill-opacity="{opacity:g}" text-anchor="{anchor}">{shown}</g>'


def vertical(x: float, top: float, bottom: float, *, opacity: float, dashed: bool = False) -> str:
    """Return a vertical line."""
    return _rule(x, top, x, bottom, opacity, dashed)


def horizontal(y: float, left: float, right: float, *, opacity: float) -> str:
    """Return a horizontal line."""
    return _rule(left, y, right, y, opacity, dashed=False)


def _rule(x1: float, y1: float, x2: float, y2: float, opacity: float, dashed: bool) -> str:
    extra = ' stroke-dasharray="2 2"' if dashed else ""
    return (
        f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="currentColor" '
        f'stroke-opacity="{opacity:g}"{extra}/>'
    )


def tick(x: float, y: float, half: float, colour: str) -> str:
    """Return the end of an interval: a vertical line, ``half`` above y and ``half`` below."""
    return (
        f'<line x1="{x:.1f}" y1="{y - half:.1f}" x2="{x:.1f}" y2="{y + half:.1f}" stroke="{colour}" '
        'stroke-width="1.4"/>'
    )


def arrow(x: float, y: float, way: int, colour: str) -> str:
    """Return an arrowhead to the left (``way`` −1) or to the right (1)."""
    return f'<path d="M{x + 6 * way:.1f} {y:.1f}l{-6 * way} -4.5v9z" fill="{colour}"/>'


def width_of(text: str) -> float:
    """Return the width of a text of 12 px, at most or so, the reader's font not being known."""
    return 7.2 * len(text)


def fitting(room: float, *, bold: bool = False) -> int:
    """Return how many characters of about 12 px fit into ``room``; cautiously, the reader's font not being known."""
    return int(room / (7.6 if bold else 6.6))


def wrap(text: str, characters: int) -> list[str]:
    """Return ``text`` in lines of at most so many characters, but for words that are longer."""
    lines = [""]
    for word in text.split():
        if lines[-1] and len(lines[-1]) + 1 + len(word) > characters:
            lines.append("")
        lines[-1] = f"{lines[-1]} {word}".strip()
    return [line for line in lines if line]


def escaped(text: str) -> str:
    """Return ``text`` as XML shows it."""
    # Control characters have no place in XML, whatever an arm is named.
    return html.escape("".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text))
