"""Claims: contrasts between arms, registered before the seeds that decide are looked at.

A claim is data. The plugin reads from it which models to train on which seeds, the statistics read from it
how the observations are judged, and its digest is what ``claims.lock`` registers.
"""

from __future__ import annotations

import hashlib
import json
import re
import reprlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from memkit.errors import MemkitError, nearest
from memkit.evidence.arm import Arm, described
from memkit.evidence.contrast import Contrast
from memkit.evidence.origin import KEYS as ORIGIN_KEYS
from memkit.evidence.origin import Mutant, Origin, Replication, SweepCell, origin_from_json, origin_to_json
from memkit.plain_values import plain_fields
from memkit.statistics import LOOKS

EXPECTATIONS = ("supported", "refuted", "equivalent", "not_supported", "open")
DEFAULT_SEEDS = LOOKS[-1].n
_LONGEST = 1000
"""Characters of a name that is declared."""
_ID = re.compile(r"[a-z0-9][a-z0-9._-]*(/[a-z0-9][a-z0-9._-]*)+")

TESTED = (
    *("arms", "contrasts", "derived", "requires", "positive_control", "expect", "gate", "test", "data"),
    *(key for key in ORIGIN_KEYS if key != "cells"),  # a cell does not depend on how many others there are
)
"""Keys of a claim's JSON that its digest covers."""
BESIDE = ("statement", "source", "seeds", "headline", "deterministic", "environment")
"""Fields that are registered beside the digest: to change one costs no attempt."""
LISTS = {
    "contrasts": "contrasts",
    "derived": "names",
    "requires": "contrasts",
    "figures": "functions",
    "data": "names",
    "environment": "names",
}
"""Options that are lists → what the lists hold."""


def digest_of(data: Mapping[str, Any]) -> str:
    """Return 32 hex digits for plain types, in whatever order they stand."""
    text = json.dumps(data, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _said(contrast: Mapping[str, Any]) -> dict[str, Any]:
    """Return a contrast without its empty and false fields. A margin of 0 stays, since it says something."""
    return {name: value for name, value in contrast.items() if value is not None and value is not False and value != ""}


@dataclass(frozen=True, kw_only=True)
class Claim:
    """A scientific claim: what is compared, on how many seeds at most, and which verdict is expected.

    Attributes:
        id: ``study/name``, lower case, unique in the suite.
        statement: the sentence that is tested.
        arms: name → :class:`Arm`.
        contrasts: all of them must hold for the claim to be SUPPORTED (intersection–union, no correction).
        derived: names of quantities that the test returns besides its arms (a slope, an interaction).
        requires: preconditions, such as "the memory changes predictions"; unmet, the claim is INCOMPLETE.
        positive_control: for ``expect="equivalent"``: what must be SUPPORTED on the same seeds, or the
            equivalence may only show that the measurement is blunt.
        expect: the verdict that was registered; anything else fails.
        gate: whether the verdict can fail the run. By default every claim does, but for ``open`` ones and
            those that assume normality.
        seeds: the most seeds the claim may use: 8, 16 or 32, the sizes of the looks; None: 32. It uses no more than the
            look needs that decides it.
        headline: part of the short run.
        deterministic: whether every seed may give the same values. A claim whose arms each repeat one value is
            INCOMPLETE without it, since a random state that was fixed by mistake looks the same.
        data: files or folders that the measurement depends on and memkit cannot see it read, because native code or
            another process reads them; paths relative to the project's root.
        environment: names of environment variables that the measurement depends on.
        source: where the claim comes from, with its number.
        figures: functions ``figure(arms, seed)`` that make a figure of the first seed's trained models, or a list of
            them (``trained``, the runs with their histories, is given where it is a parameter too):
            :class:`memkit.evidence.figures.Heatmap`, :class:`~memkit.evidence.figures.Lines` or
            :class:`~memkit.evidence.figures.Table`; shown beside the verdict, deciding nothing, and not registered.
        test: digest of the test function's syntax tree (set by :func:`claim`).
        origin: what the claim is derived from (set by :func:`memkit.sweep`, :func:`memkit.multiverse`,
            :func:`memkit.mutant` and :func:`memkit.replicated`); None for a claim by itself.
    """

    # What is tested.
    id: str
    statement: str
    arms: Mapping[str, Arm]
    contrasts: tuple[Contrast, ...]
    derived: tuple[str, ...] = ()
    requires: tuple[Contrast, ...] = ()
    positive_control: Contrast | None = None
    expect: str = "supported"
    gate: bool | None = None
    # How it is run.
    seeds: int | None = None
    headline: bool = False
    deterministic: bool = False
    data: tuple[str, ...] = ()
    environment: tuple[str, ...] = ()
    # What is shown beside it.
    source: str = ""
    figures: tuple[Callable[..., Any], ...] = field(default=(), repr=False, compare=False)
    # What memkit sets.
    test: str = field(default="", repr=False)
    origin: Origin | None = None

    def __post_init__(self) -> None:
        plain_fields(self, "seeds", "headline", "gate", "deterministic")
        where = f"claim {self.id!r}"
        if not isinstance(self.id, str) or not _ID.fullmatch(self.id):
            raise MemkitError(f"{where}: an id reads study/name, in lower case, digits, '-', '_' and '.'")
        if not isinstance(self.statement, str) or not self.statement.strip():
            raise MemkitError(f"{where}: the statement is empty; write the sentence that is tested")
        if not isinstance(self.arms, Mapping):
            raise MemkitError(
                f'{where}: arms={reprlib.repr(self.arms)} must be a dict, arms={{"name": Arm(recipe), ...}}'
            )
        for name, kind in LISTS.items():
            if not isinstance(value := getattr(self, name), tuple):
                raise MemkitError(f"{where}: {name}={reprlib.repr(value)} must be a tuple of {kind}")
        for name in (*self.arms, *self.derived):
            if not isinstance(name, str) or not name:
                raise MemkitError(f"{where}: {name!r} is no name for an arm; give a text")
        if not self.arms:
            raise MemkitError(f'{where}: no arms; give arms={{"name": recipe, ...}}, or names that the test measures')
        for name, arm in self.arms.items():
            if not isinstance(arm, Arm):
                raise MemkitError(f"{where}: the arm {name!r} is {described(arm)}; write Arm(recipe)")
        if not self.contrasts:
            raise MemkitError(
                f'{where}: no contrast; say what is compared, contrasts=[Contrast("treatment", over="control", ...)]'
            )
        if self.expect not in EXPECTATIONS:
            raise MemkitError(
                f"{where}: expect={self.expect!r} is not a verdict{nearest(str(self.expect), EXPECTATIONS)}"
            )
        if not all(callable(figure) and hasattr(figure, "__qualname__") for figure in self.figures):
            raise MemkitError(f"{where}: figures={list(self.figures)!r} must be named functions of arms and seed")
        sizes = [look.n for look in LOOKS]
        if self.seeds is not None and (not isinstance(self.seeds, int) or self.seeds not in sizes):
            raise MemkitError(f"{where}: seeds={self.seeds!r} must be one of {sizes}, the sizes of the looks")
        if not isinstance(self.headline, bool) or not (self.gate is None or isinstance(self.gate, bool)):
            raise MemkitError(
                f"{where}: headline={self.headline!r}, gate={self.gate!r}: headline is True or False, gate too or None"
            )
        if not isinstance(self.deterministic, bool):
            raise MemkitError(f"{where}: deterministic={self.deterministic!r} must be True or False")
        for name, example in (("data", "data/table.csv"), ("environment", "MY_FLAG")):
            for value in getattr(self, name):
                if not isinstance(value, str) or not value.strip() or not value.isprintable() or len(value) > _LONGEST:
                    raise MemkitError(f'{where}: {name}= must be a list of names, as in {name}=["{example}"]')
                if name == "data" and (".." in value.split("/") or not value.strip("./")):
                    raise MemkitError(
                        f"{where}: data={value!r} must name a file or folder below the project's root, or an absolute "
                        "path"
                    )
        if not isinstance(self.source, str):
            raise MemkitError(f"{where}: source={self.source!r} must be a text: where the claim was made")
        if not isinstance(self.test, str):
            raise MemkitError(f"{where}: test={self.test!r} must be a text: the digest of the test function")
        if not (self.origin is None or isinstance(self.origin, Origin)):
            raise MemkitError(f"{where}: origin={self.origin!r} must be a SweepCell, a Mutant, a Replication or None")
        for contrast in self.all_contrasts:
            if not isinstance(contrast, Contrast):
                raise MemkitError(
                    f'{where}: {contrast!r} is no Contrast; write Contrast("treatment", over="control", ...)'
                )
        known = {*self.arms, *self.derived}
        for name in self.derived:
            if name in self.arms:
                raise MemkitError(f"{where}: {name!r} is an arm and a derived quantity; rename one of them")
        for contrast in self.all_contrasts:
            for name in contrast.names:
                if name not in known:
                    raise MemkitError(
                        f"{where}: the contrast «{contrast.label}» names an unknown arm {name!r}{nearest(name, known)}"
                    )
        if self.expect == "equivalent":
            if self.positive_control is None:
                raise MemkitError(
                    f"{where}: a claim of equivalence needs positive_control=Contrast(...), an effect that "
                    "the same measurement does find"
                )
            blunt = [c.label for c in self.contrasts if c.sesoi is None]
            if blunt:
                raise MemkitError(f"{where}: equivalence needs sesoi= on every contrast; «{blunt[0]}» has none")

    def planned(self, asked: int | None) -> int:
        """Return how many seeds a run uses at most: what the claim declares, or 32, capped by the run.

        Args:
            asked: ``--seeds``, or None where the run did not say. Of a number that is no look all seeds are used,
                and decide nothing.
        """
        if asked is None:
            return self.seeds or DEFAULT_SEEDS
        return min(asked, self.seeds) if self.seeds else asked

    @property
    def study(self) -> str:
        """The id's first part."""
        return self.id.split("/", 1)[0]

    @property
    def of_its_own(self) -> bool:
        """Return whether it is a claim by itself: no cell of a sweep, no mutant and no replication."""
        return self.origin is None

    @property
    def sweep(self) -> str:
        """The id of the sweep that it is a cell of, or ""."""
        return self.origin.sweep if isinstance(self.origin, SweepCell) else ""

    @property
    def cell(self) -> Mapping[str, str | int | float]:
        """Its place in its sweep: factor → value; empty where it is no cell."""
        return self.origin.cell if isinstance(self.origin, SweepCell) else {}

    @property
    def is_mutant(self) -> bool:
        """Return whether it is a claim with an arm broken on purpose."""
        return isinstance(self.origin, Mutant)

    @property
    def is_replication(self) -> bool:
        """Return whether it asks a claim again on another backend."""
        return isinstance(self.origin, Replication)

    @property
    def made_from(self) -> str:
        """The id of the claim that it is a mutant or a replication of, or ""."""
        return self.origin.of if isinstance(self.origin, Mutant | Replication) else ""

    @property
    def aside(self) -> bool:
        """Return whether only runs that ask for sweeps include it: a cell, or a replication that is no headline."""
        return bool(self.sweep) or (self.is_replication and not self.headline)

    @property
    def all_contrasts(self) -> tuple[Contrast, ...]:
        """Contrasts, preconditions and the positive control."""
        control = (self.positive_control,) if self.positive_control is not None else ()
        return (*self.contrasts, *self.requires, *control)

    @property
    def metrics(self) -> tuple[str, ...]:
        """The distinct metrics, in order of appearance."""
        return tuple(dict.fromkeys(contrast.metric for contrast in self.all_contrasts))

    @cached_property
    def metrics_of(self) -> Mapping[str, tuple[str, ...]]:
        """Return name → the metrics that contrasts compare of that arm or derived quantity, sorted."""
        return {
            name: tuple(sorted({contrast.metric for contrast in self.all_contrasts if name in contrast.names}))
            for name in self.measured
        }

    @property
    def measured(self) -> tuple[str, ...]:
        """The names that the test has to return: every arm and derived quantity."""
        return (*self.arms, *self.derived)

    @property
    def gates(self) -> bool:
        """Return whether the claim's verdict can fail a run."""
        if self.expect == "open":
            return False
        normal = any(contrast.assume == "normal" for contrast in self.contrasts)
        return self.gate if self.gate is not None else not normal

    @cached_property
    def digest(self) -> str:
        """A hash of what is tested, as registration fixes it: 32 hex digits.

        It covers the number of seeds where that is part of the test. Student's t alone holds only for the looks that
        were planned. A claim that is expected not to be supported passes where it is undecided, as fewer seeds would
        leave it; a mutant does not, since it has to fall.
        """
        fields = self.to_json()
        # Empty fields are left out, so that claims that were registered before a field existed keep their digests.
        data = {name: fields[name] for name in TESTED if fields[name] not in (None, "", [], {})}
        for name in {"contrasts", "requires"} & data.keys():
            data[name] = [_said(contrast) for contrast in data[name]]
        if self.positive_control is not None:
            data["positive_control"] = _said(data["positive_control"])
        undecided = self.expect == "not_supported" and not self.is_mutant
        if undecided or any(contrast.assume == "normal" for contrast in self.all_contrasts):
            data["seeds"] = self.planned(None)
        return digest_of(data)

    @cached_property
    def annotations(self) -> Mapping[str, Any]:
        """The fields that are registered beside the digest, in plain types; empty and false ones are left out."""
        said = {name: getattr(self, name) for name in BESIDE}
        return {name: list(value) if isinstance(value, tuple) else value for name, value in said.items() if value}

    def to_json(self) -> dict[str, Any]:
        """Return plain types, every field."""
        return {
            "id": self.id,
            "statement": self.statement,
            "arms": {name: arm.to_json() for name, arm in self.arms.items()},
            "contrasts": [contrast.to_json() for contrast in self.contrasts],
            "source": self.source,
            "expect": self.expect,
            "seeds": self.seeds,
            "headline": self.headline,
            "derived": list(self.derived),
            "requires": [contrast.to_json() for contrast in self.requires],
            "positive_control": self.positive_control.to_json() if self.positive_control else None,
            "gate": self.gate,
            "test": self.test,
            **origin_to_json(self.origin),
            "deterministic": self.deterministic,
            "data": list(self.data),
            "environment": list(self.environment),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Claim:
        """Return the claim that :meth:`to_json` wrote; its arms hold the recipes' JSON."""
        try:
            origin = origin_from_json(data)
        except MemkitError as error:
            raise MemkitError(f"claim {data['id']!r}: {error}") from None
        fields = {name: value for name, value in data.items() if name not in ORIGIN_KEYS}
        fields["arms"] = {name: Arm(**arm) for name, arm in data["arms"].items()}
        for name in ("contrasts", "requires"):
            fields[name] = tuple(Contrast.from_json(contrast) for contrast in data[name])
        for name in ("derived", "data", "environment"):
            fields[name] = tuple(data.get(name, ()))
        if data["positive_control"] is not None:
            fields["positive_control"] = Contrast.from_json(data["positive_control"])
        return cls(**fields, origin=origin)
