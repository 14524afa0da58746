"""Figures that a claim shows beside its verdict: data, not pictures, so that a file from elsewhere holds no markup.

A figure shows one seed, the first that the claim planned. It decides nothing. There are three kinds: numbers over rows
and columns (:class:`Heatmap`), curves (:class:`Lines`), and numbers or words to be read one by one (:class:`Table`).
Their sizes are bounded, since a file from elsewhere may hold anything, and a page is to stay readable.
"""

from __future__ import annotations

import inspect
import math
import numbers
import reprlib
from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from typing import Any, ClassVar

from memkit.errors import MemkitError, nearest

MOST = 64
"""Rows, and columns, of a heat map."""
MOST_SERIES = 12
"""Curves of a figure; more could not be told apart."""
MOST_POINTS = 1000
"""Points of a curve."""
MOST_ROWS, MOST_COLUMNS = 256, 16
"""Rows and columns of a table."""
LONGEST = 120
"""Characters of a title, a name or a cell, but for heat maps."""
LARGEST = 1e300
"""Size of a number: differences of such numbers are still finite."""


@dataclass(frozen=True)
class Heatmap:
    """Numbers over rows and columns: an address over tokens and slots, an attention over answers and words.

    Attributes:
        title: what is shown, with its unit.
        rows, columns: their names; a name may occur twice, as a word in a command does.
        values: one row of numbers a name of a row.
        span: the values of the palest and of the fullest colour; beyond them the colour stays.
    """

    kind: ClassVar[str] = "heatmap"

    title: str
    rows: tuple[str, ...]
    columns: tuple[str, ...]
    values: tuple[tuple[float, ...], ...]
    span: tuple[float, float] = (0.0, 1.0)

    def __post_init__(self) -> None:
        where = _where(self, self.title)
        if not isinstance(self.title, str):
            raise MemkitError(f"{where}: the title must be a text")
        for name in ("rows", "columns"):
            labels = _listed(where, name, getattr(self, name), f"1 to {MOST} names", 1, MOST)
            if not all(isinstance(label, str) for label in labels):
                raise MemkitError(f"{where}: {name} must be 1 to {MOST} names, not {_said(labels)}")
            object.__setattr__(self, name, labels)
        shape = f"{len(self.rows)} rows of {len(self.columns)} numbers"
        rows = _listed(where, "values", self.values, shape, len(self.rows))
        values = tuple(_listed(where, "values", row, shape, len(self.columns)) for row in rows)
        values = tuple(tuple(_number(where, "values", value) for value in row) for row in values)
        object.__setattr__(self, "values", values)
        object.__setattr__(self, "span", _span(where, self.span))

    def to_json(self) -> dict[str, Any]:
        """Return plain types, with values to four digits."""
        return {
            "kind": self.kind,
            "title": self.title,
            "rows": list(self.rows),
            "columns": list(self.columns),
            "values": [[_rounded(value, 4) for value in row] for row in self.values],
            "span": list(self.span),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Heatmap:
        """Return the heat map that :meth:`to_json` wrote."""
        return cls(str(data["title"]), data["rows"], data["columns"], data["values"], data["span"])


@dataclass(frozen=True)
class Series:
    """A curve of :class:`Lines`: a name and points, joined in the order in which they are given.

    Attributes:
        name: shown beside the curve.
        x: numbers.
        y: a number for each of ``x``, or None: a gap. In a figure with ``steps``, ``x`` are the edges of the steps,
            one more than ``y``, ascending, as ``numpy.histogram`` gives them.
    """

    name: str
    x: Sequence[float]
    y: Sequence[float | None]

    def __post_init__(self) -> None:
        _text("Series", "its name", self.name)
        where = _where(self, self.name)
        x = _listed(where, "x", self.x, f"1 to {MOST_POINTS + 1} numbers", 1, MOST_POINTS + 1)
        y = _listed(where, "y", self.y, f"1 to {MOST_POINTS} numbers", 1, MOST_POINTS)
        if len(x) - len(y) not in (0, 1):
            raise MemkitError(f"{where}: x and y must be of one length, not {len(x)} and {len(y)}")
        if all(value is None for value in y):
            raise MemkitError(f"{where}: y holds no number; leave the series out")
        object.__setattr__(self, "x", tuple(_number(where, "x", value) for value in x))
        object.__setattr__(self, "y", tuple(None if v is None else _number(where, "y", v, " or None") for v in y))

    def to_json(self) -> dict[str, Any]:
        """Return plain types, with numbers to six digits."""
        y = [None if value is None else _rounded(value, 6) for value in self.y]
        return {"name": self.name, "x": [_rounded(value, 6) for value in self.x], "y": y}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Series:
        """Return the series that :meth:`to_json` wrote."""
        return cls(data["name"], data["x"], data["y"])


@dataclass(frozen=True)
class Lines:
    """Named curves over numbers: accuracy by epoch or by k, a reliability diagram, the outlines of histograms.

    Attributes:
        title: what is shown.
        x, y: what the axes show, with its unit.
        series: the curves.
        identity: a line is drawn on which y equals x, and both axes show the same numbers: perfect calibration.
        log: the x axis is logarithmic.
        steps: each value of y holds between two numbers of x, which are one more.
        span: two numbers that the y axis shows at least, such as (0, 1) for an accuracy; None: what the values need.
    """

    kind: ClassVar[str] = "lines"

    title: str
    x: str
    y: str
    series: Sequence[Series]
    _: KW_ONLY
    identity: bool = False
    log: bool = False
    steps: bool = False
    span: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        _text("Lines", "the title", self.title)
        where = _where(self, self.title)
        for name in ("x", "y"):
            _text(where, name, getattr(self, name))
        for name in ("identity", "log", "steps"):
            if not isinstance(getattr(self, name), bool):
                raise MemkitError(f"{where}: {name}={_said(getattr(self, name))} must be True or False")
        if self.identity and self.log:
            raise MemkitError(f"{where}: identity and log do not go together, since the y axis is not logarithmic")
        series = _listed(where, "series", self.series, f"1 to {MOST_SERIES} Series", 1, MOST_SERIES)
        for one in series:
            if not isinstance(one, Series):
                raise MemkitError(f"{where}: series holds a {type(one).__name__}, not a Series")
            self._check(where, one)
        if len({one.name for one in series}) < len(series):
            raise MemkitError(f"{where}: two series have one name; their names must tell them apart")
        object.__setattr__(self, "series", series)
        object.__setattr__(self, "span", None if self.span is None else _span(where, self.span))

    def _check(self, where: str, one: Series) -> None:
        """Refuse a series that is valid by itself, and not in this figure."""
        if self.steps and (len(one.x) != len(one.y) + 1 or list(one.x) != sorted(one.x)):
            raise MemkitError(f"{where}: with steps, x of {one.name!r} must be ascending edges, one more than its y")
        if not self.steps and len(one.x) != len(one.y):
            raise MemkitError(f"{where}: x and y of {one.name!r} must be of one length; edges are for steps=True")
        if self.log and min(one.x) < 1 / LARGEST:
            raise MemkitError(f"{where}: with log, x of {one.name!r} must be positive, not {min(one.x):g}")

    def to_json(self) -> dict[str, Any]:
        """Return plain types, with numbers to six digits."""
        return {
            "kind": self.kind,
            "title": self.title,
            "x": self.x,
            "y": self.y,
            "series": [one.to_json() for one in self.series],
            "identity": self.identity,
            "log": self.log,
            "steps": self.steps,
            "span": None if self.span is None else list(self.span),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Lines:
        """Return the figure that :meth:`to_json` wrote."""
        where = f"Lines {_said(data['title'])}"
        series = _listed(where, "series", data["series"], f"1 to {MOST_SERIES} Series", 1, MOST_SERIES)
        options = {name: data[name] for name in ("identity", "log", "steps", "span")}
        return cls(data["title"], data["x"], data["y"], tuple(map(Series.from_json, series)), **options)


@dataclass(frozen=True)
class Table:
    """Rows of numbers or short texts: precision and recall of every class, diagnostics with memory on and off.

    Attributes:
        title: what is shown, with its unit where all columns have one.
        columns: the names of the cells.
        rows: each a name and its cells, a cell a column: a number, a text, or None where there is none.
    """

    kind: ClassVar[str] = "table"

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str | float | None]]

    def __post_init__(self) -> None:
        _text("Table", "the title", self.title)
        where = _where(self, self.title)
        columns = _listed(where, "columns", self.columns, f"1 to {MOST_COLUMNS} names", 1, MOST_COLUMNS)
        for name in columns:
            _text(where, "the name of a column", name)
        rows = []
        for row in _listed(where, "rows", self.rows, f"1 to {MOST_ROWS} rows", 1, MOST_ROWS):
            said = f"the row {_said(row)}"
            name, *cells = _listed(where, said, row, f"a name and {len(columns)} cells", len(columns) + 1)
            _text(where, "the name of a row", name)
            rows.append((name, *(_cell(where, cell) for cell in cells)))
        object.__setattr__(self, "columns", columns)
        object.__setattr__(self, "rows", tuple(rows))

    def to_json(self) -> dict[str, Any]:
        """Return plain types, with numbers that are not whole to six digits."""
        rows = [[_rounded(cell, 6) if isinstance(cell, float) else cell for cell in row] for row in self.rows]
        return {"kind": self.kind, "title": self.title, "columns": list(self.columns), "rows": rows}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Table:
        """Return the table that :meth:`to_json` wrote."""
        return cls(data["title"], data["columns"], data["rows"])


Figure = Heatmap | Lines | Table
_KINDS: dict[str, type[Figure]] = {one.kind: one for one in (Heatmap, Lines, Table)}


def figure_from_json(data: Any) -> Figure:
    """Return a figure of any kind that ``to_json`` wrote; one without a kind is a heat map, as the first ones were.

    Raises:
        MemkitError: a kind that is not known, a field that is missing, or what the kind itself refuses.
    """
    if not isinstance(data, Mapping):
        raise MemkitError(f"a figure must be an object with a kind, not {_said(data)}")
    kind = data.get("kind", Heatmap.kind)
    if not isinstance(kind, str) or kind not in _KINDS:
        raise MemkitError(f"a figure of kind {_said(kind)} is not known{nearest(str(kind)[:LONGEST], _KINDS)}")
    try:
        return _KINDS[kind].from_json(data)
    except (KeyError, TypeError) as error:
        lacking = f"{error.args[0]!r} is missing" if isinstance(error, KeyError) else str(error)
        raise MemkitError(f"a figure of kind {kind!r} is damaged: {lacking}") from error


def drawn(figures: Sequence[Any], where: str, **given: Any) -> tuple[Figure, ...]:
    """Draw a claim's figures of a seed's models; each function is given those arguments that it has parameters for.

    Raises:
        MemkitError: a function returned something other than figures.
    """
    found: list[Figure] = []
    for figure in figures:
        wanted = inspect.signature(figure).parameters
        made = figure(**{name: value for name, value in given.items() if name in wanted})
        for one in made if isinstance(made, (list, tuple)) else [made]:
            if not isinstance(one, Figure):
                made_by = f"the figure {figure.__name__}() made a {type(one).__name__}"
                raise MemkitError(f"{where}: {made_by}, not a Heatmap, Lines or Table")
            found.append(one)
    return tuple(found)


# What figures are made of ----------------------------------------------------------------------------------


def _said(given: Any) -> str:
    """Describe what was given in a few words on one line, however large it is."""
    short = reprlib.Repr()
    short.maxstring = 60
    try:
        return " ".join(short.repr(given).split())
    except ValueError:  # a whole number of thousands of digits
        return f"this {type(given).__name__}"


def _where(figure: Any, title: Any) -> str:
    return f"{type(figure).__name__} {_said(title)}"


def _text(where: str, name: str, given: Any) -> None:
    if not isinstance(given, str) or not given.strip() or len(given) > LONGEST:
        raise MemkitError(f"{where}: {name} must be a text of 1 to {LONGEST} characters, not {_said(given)}")


def _listed(where: str, name: str, given: Any, right: str, least: int, most: int | None = None) -> tuple[Any, ...]:
    """Return ``given`` as a tuple of ``least`` to ``most`` items; the length is checked before any item is."""
    try:
        count = -1 if isinstance(given, (str, bytes, Mapping, set, frozenset)) else len(given)
    except TypeError:  # no list at all, or an array without dimensions
        count = -1
    if not least <= count <= (least if most is None else most):
        raise MemkitError(f"{where}: {name} must be {right}, not {_said(given)}")
    return tuple(given)


def _number(where: str, name: str, given: Any, also: str = "") -> float:
    """Return ``given`` as a float. A number in a text is refused: in a file from elsewhere it might be any text."""
    try:
        value = math.nan if isinstance(given, (str, bytes, bool)) else float(given)
    except (TypeError, ValueError, OverflowError):
        value = math.nan
    if not abs(value) <= LARGEST:
        raise MemkitError(f"{where}: {name} must be finite numbers{also}, not {_said(given)}")
    return value


def _span(where: str, given: Any) -> tuple[float, float]:
    right = "two numbers, the smaller one first"
    low, high = (_number(where, "span", end) for end in _listed(where, "span", given, right, 2))
    if not low < high:
        raise MemkitError(f"{where}: span={given!r} must be {right}")
    return low, high


def _cell(where: str, given: Any) -> str | float | None:
    """Return a cell: a text, a number or None. Whole numbers stay whole, to be shown to the last digit."""
    if given is None:
        return None
    if isinstance(given, str):
        if len(given) > LONGEST:
            raise MemkitError(f"{where}: a cell must be at most {LONGEST} characters, not {_said(given)}")
        return given
    value = _number(where, "cells", given, ", short texts or None")
    # Beyond 2^53, a reader of the file may not get the same whole number back.
    return int(given) if isinstance(given, numbers.Integral) and abs(value) < 2**53 else value


def _rounded(value: float, digits: int) -> float:
    return float(f"{value:.{digits}g}")
