"""Figures that a claim shows next to its verdict.

Figures are data, not pictures, so that an evidence file from an untrusted source cannot inject markup into a page. A
figure shows one seed, the first that the claim planned, and decides nothing. There are three kinds: heat maps
(:class:`Heatmap`), curves (:class:`Lines`), and tables of numbers or short texts (:class:`Table`). Their sizes are
bounded, so that a page stays readable whatever a file holds.
"""

from __future__ import annotations

import inspect
import math
import numbers
import reprlib
from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from typing import Any, ClassVar

from memkit.errors import MemkitError, suggestion

MOST = 64
"""The most rows, and the most columns, of a heat map."""
MOST_SERIES = 12
"""The most curves in a figure; more would be hard to tell apart."""
MOST_POINTS = 1000
"""The most points of a curve."""
MOST_ROWS, MOST_COLUMNS = 256, 16
"""The most rows and columns of a table."""
LONGEST = 120
"""The most characters of a title, a name or a cell, except in heat maps."""
LARGEST = 1e300
"""The largest magnitude of a number, so that differences of numbers are still finite."""


@dataclass(frozen=True)
class Heatmap:
    """A heat map: addresses over tokens and slots, or attention weights over answers and words.

    Attributes:
        title: what is shown, with its unit.
        rows, columns: the names of the rows and columns; a name may occur twice, like a word in a command.
        values: the numbers, [rows, columns]; arrays are accepted.
        span: the values of the lightest and of the darkest colour; values outside are drawn in these colours.

    Raises:
        MemkitError: the shapes do not match, a number is not finite, or there are too many rows or columns.

    >>> import numpy as np
    >>> from memkit import Heatmap
    >>> weights = np.array([[0.9, 0.1], [0.25, 0.75]])
    >>> heatmap = Heatmap("attention", rows=("jump", "walk"), columns=("X", "Y"), values=weights)
    >>> heatmap.values[1]
    (0.25, 0.75)
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
            raise MemkitError(f"{where}: the title must be a string")
        for name in ("rows", "columns"):
            labels = _listed(where, name, getattr(self, name), f"1 to {MOST} names", 1, MOST)
            if not all(isinstance(label, str) for label in labels):
                raise MemkitError(f"{where}: {name} must be 1 to {MOST} names, not {_shown(labels)}")
            object.__setattr__(self, name, labels)
        shape = f"{len(self.rows)} rows of {len(self.columns)} numbers"
        rows = _listed(where, "values", self.values, shape, len(self.rows))
        values = tuple(_listed(where, "values", row, shape, len(self.columns)) for row in rows)
        values = tuple(tuple(_number(where, "values", value) for value in row) for row in values)
        object.__setattr__(self, "values", values)
        object.__setattr__(self, "span", _span(where, self.span))

    def to_json(self) -> dict[str, Any]:
        """Return plain types, with values rounded to four digits."""
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
    """A curve of :class:`Lines`: points that are joined in the given order.

    Attributes:
        name: the label of the curve.
        x: the positions, [n]. In a figure with ``steps``: the ascending edges of the steps, [n + 1], as returned by
            ``numpy.histogram``.
        y: the values, [n]; None leaves a gap.

    Raises:
        MemkitError: the lengths do not match, a number is not finite, or there are too many points.

    >>> from memkit.evidence.figures import Series
    >>> Series("accuracy", x=[1, 2, 3], y=[0.5, None, 0.75]).y
    (0.5, None, 0.75)
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
            raise MemkitError(f"{where}: x and y must have the same length, not {len(x)} and {len(y)}")
        if all(value is None for value in y):
            raise MemkitError(f"{where}: y holds no numbers; leave the series out")
        object.__setattr__(self, "x", tuple(_number(where, "x", value) for value in x))
        object.__setattr__(self, "y", tuple(None if v is None else _number(where, "y", v, " or None") for v in y))

    def to_json(self) -> dict[str, Any]:
        """Return plain types, with numbers rounded to six digits."""
        y = [None if value is None else _rounded(value, 6) for value in self.y]
        return {"name": self.name, "x": [_rounded(value, 6) for value in self.x], "y": y}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Series:
        """Return the series that :meth:`to_json` wrote."""
        return cls(data["name"], data["x"], data["y"])


@dataclass(frozen=True)
class Lines:
    """A line plot: accuracy by epoch or by k, a reliability diagram, the outlines of histograms.

    Attributes:
        title: what is shown.
        x, y: the labels of the axes, with units.
        series: the curves.
        identity: whether to draw the line y = x, such as perfect calibration, with the same scale on both axes.
        log: whether the x axis is logarithmic.
        steps: whether to draw steps, as of a histogram: each y is constant between two neighbouring x, and each series
            has one more x than y.
        span: the range that the y axis shows at least, such as (0, 1) for an accuracy; None fits it to the values.

    Raises:
        MemkitError: an option or a series is not valid.

    >>> from memkit import Lines
    >>> from memkit.evidence.figures import Series
    >>> curve = Series("memory on", x=[1, 2, 3], y=[0.4, 0.7, 0.9])
    >>> Lines("accuracy by epoch", x="epoch", y="accuracy", series=[curve], span=(0, 1)).span
    (0.0, 1.0)
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
                raise MemkitError(f"{where}: {name}={_shown(getattr(self, name))} must be True or False")
        if self.identity and self.log:
            raise MemkitError(f"{where}: identity and log exclude one another, since the y axis is not logarithmic")
        all_series = _listed(where, "series", self.series, f"1 to {MOST_SERIES} Series", 1, MOST_SERIES)
        for series in all_series:
            if not isinstance(series, Series):
                raise MemkitError(f"{where}: series holds a {type(series).__name__}, not a Series")
            self._check(where, series)
        if len({series.name for series in all_series}) < len(all_series):
            raise MemkitError(f"{where}: two series have the same name; give them different names")
        object.__setattr__(self, "series", all_series)
        object.__setattr__(self, "span", None if self.span is None else _span(where, self.span))

    def _check(self, where: str, series: Series) -> None:
        """Refuse a series that does not fit this figure's options."""
        x, y, name = series.x, series.y, series.name
        if self.steps and (len(x) != len(y) + 1 or list(x) != sorted(x)):
            raise MemkitError(f"{where}: with steps, x of {name!r} must be ascending edges, one more than its y")
        if not self.steps and len(x) != len(y):
            raise MemkitError(f"{where}: x and y of {name!r} must have the same length; edges need steps=True")
        if self.log and min(x) < 1 / LARGEST:
            raise MemkitError(f"{where}: with log, x of {name!r} must be positive, not {min(x):g}")

    def to_json(self) -> dict[str, Any]:
        """Return plain types, with numbers rounded to six digits."""
        return {
            "kind": self.kind,
            "title": self.title,
            "x": self.x,
            "y": self.y,
            "series": [series.to_json() for series in self.series],
            "identity": self.identity,
            "log": self.log,
            "steps": self.steps,
            "span": None if self.span is None else list(self.span),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Lines:
        """Return the figure that :meth:`to_json` wrote."""
        where = f"Lines {_shown(data['title'])}"
        series = _listed(where, "series", data["series"], f"1 to {MOST_SERIES} Series", 1, MOST_SERIES)
        options = {name: data[name] for name in ("identity", "log", "steps", "span")}
        return cls(data["title"], data["x"], data["y"], tuple(map(Series.from_json, series)), **options)


@dataclass(frozen=True)
class Table:
    """A table of numbers or short texts: precision and recall per class, diagnostics with memory on and off.

    Attributes:
        title: what is shown, with the unit if all columns have the same.
        columns: the names of the columns.
        rows: the rows, each a name followed by one cell per column: a number, a string, or None for an empty cell.

    Raises:
        MemkitError: a row has too few or too many cells, a cell is not valid, or there are too many rows or columns.

    >>> from memkit import Table
    >>> table = Table("per class", columns=("precision", "recall"), rows=[("cat", 0.9, 0.8), ("dog", 0.7, None)])
    >>> table.rows[1]
    ('dog', 0.7, None)
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
            label = f"the row {_shown(row)}"
            name, *cells = _listed(where, label, row, f"a name and {len(columns)} cells", len(columns) + 1)
            _text(where, "the name of a row", name)
            rows.append((name, *(_cell(where, cell) for cell in cells)))
        object.__setattr__(self, "columns", columns)
        object.__setattr__(self, "rows", tuple(rows))

    def to_json(self) -> dict[str, Any]:
        """Return plain types, with floats rounded to six digits."""
        rows = [[_rounded(cell, 6) if isinstance(cell, float) else cell for cell in row] for row in self.rows]
        return {"kind": self.kind, "title": self.title, "columns": list(self.columns), "rows": rows}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Table:
        """Return the table that :meth:`to_json` wrote."""
        return cls(data["title"], data["columns"], data["rows"])


Figure = Heatmap | Lines | Table
_KINDS: dict[str, type[Figure]] = {cls.kind: cls for cls in (Heatmap, Lines, Table)}


def figure_from_json(data: Any) -> Figure:
    """Return a figure of any kind that ``to_json`` wrote.

    Old files hold figures without a kind, which are heat maps.

    Raises:
        MemkitError: the kind is not known, a field is missing, or a field is not valid.
    """
    if not isinstance(data, Mapping):
        raise MemkitError(f"a figure must be an object with a kind, not {_shown(data)}")
    kind = data.get("kind", Heatmap.kind)
    if not isinstance(kind, str) or kind not in _KINDS:
        raise MemkitError(f"the kind of figure {_shown(kind)} is not known{suggestion(str(kind)[:LONGEST], _KINDS)}")
    try:
        return _KINDS[kind].from_json(data)
    except (KeyError, TypeError) as error:
        reason = f"{error.args[0]!r} is missing" if isinstance(error, KeyError) else str(error)
        raise MemkitError(f"a figure of kind {kind!r} is damaged: {reason}") from error


def make_figures(figures: Sequence[Any], where: str, **given: Any) -> tuple[Figure, ...]:
    """Return the figures that a claim's functions make of one seed's trained models.

    Args:
        figures: the claim's functions that make figures.
        where: the claim and the seed, for messages.
        given: the arguments that are available; each function receives those for which it has a parameter.

    Raises:
        MemkitError: a function returned something other than figures.
    """
    results: list[Figure] = []
    for function in figures:
        parameters = inspect.signature(function).parameters
        returned = function(**{name: value for name, value in given.items() if name in parameters})
        for figure in returned if isinstance(returned, (list, tuple)) else [returned]:
            if not isinstance(figure, Figure):
                raise MemkitError(
                    f"{where}: the figure {function.__name__}() returned a {type(figure).__name__}, not a Heatmap, "
                    "Lines or Table"
                )
            results.append(figure)
    return tuple(results)


# Checks of the fields ------------------------------------------------------------------------------------------


def _shown(given: Any) -> str:
    """Return the repr of a value on one line, shortened if it is long."""
    shortened = reprlib.Repr()
    shortened.maxstring = 60
    try:
        return " ".join(shortened.repr(given).split())
    except ValueError:  # a whole number of thousands of digits
        return f"this {type(given).__name__}"


def _where(figure: Any, title: Any) -> str:
    return f"{type(figure).__name__} {_shown(title)}"


def _text(where: str, name: str, given: Any) -> None:
    if not isinstance(given, str) or not given.strip() or len(given) > LONGEST:
        raise MemkitError(f"{where}: {name} must be a string of 1 to {LONGEST} characters, not {_shown(given)}")


def _listed(where: str, name: str, given: Any, expected: str, least: int, most: int | None = None) -> tuple[Any, ...]:
    """Return ``given`` as a tuple of ``least`` to ``most`` items; without ``most``, of exactly ``least``.

    The length is checked before the items, so that refusing a long list takes no time.
    """
    try:
        count = -1 if isinstance(given, (str, bytes, Mapping, set, frozenset)) else len(given)
    except TypeError:  # not a list, or an array without dimensions
        count = -1
    if not least <= count <= (least if most is None else most):
        raise MemkitError(f"{where}: {name} must be {expected}, not {_shown(given)}")
    return tuple(given)


def _number(where: str, name: str, given: Any, also: str = "") -> float:
    """Return ``given`` as a float; strings are refused, even those that hold a number.

    Args:
        also: what else is allowed, for the message.
    """
    try:
        value = math.nan if isinstance(given, (str, bytes, bool)) else float(given)
    except (TypeError, ValueError, OverflowError):
        value = math.nan
    if not abs(value) <= LARGEST:
        raise MemkitError(f"{where}: {name} must be finite numbers{also}, not {_shown(given)}")
    return value


def _span(where: str, given: Any) -> tuple[float, float]:
    expected = "two numbers, the smaller one first"
    low, high = (_number(where, "span", end) for end in _listed(where, "span", given, expected, 2))
    if not low < high:
        raise MemkitError(f"{where}: span={given!r} must be {expected}")
    return low, high


def _cell(where: str, given: Any) -> str | float | None:
    """Return a cell: a string, a number or None. Whole numbers stay whole, so that all their digits are shown."""
    if given is None:
        return None
    if isinstance(given, str):
        if len(given) > LONGEST:
            raise MemkitError(f"{where}: a cell must have at most {LONGEST} characters, not {_shown(given)}")
        return given
    value = _number(where, "cells", given, ", short strings or None")
    # Beyond 2^53, a program that reads the file may round the whole number.
    return int(given) if isinstance(given, numbers.Integral) and abs(value) < 2**53 else value


def _rounded(value: float, digits: int) -> float:
    return float(f"{value:.{digits}g}")
