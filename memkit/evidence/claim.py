"""Claims: contrasts between arms, registered before anybody sees the deciding seeds.

A claim is data. The plugin reads from it which models to train on which seeds, the decision rule reads from it how to
judge the observations, and its digest is what ``claims.lock`` registers.
"""

from __future__ import annotations

import hashlib
import json
import re
import reprlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from memkit.errors import MemkitError, suggestion
from memkit.evidence.arm import Arm, describe
from memkit.evidence.contrast import Contrast
from memkit.evidence.origin import KEYS as ORIGIN_KEYS
from memkit.evidence.origin import Mutant, Origin, Replication, SweepCell, origin_from_json, origin_to_json
from memkit.evidence.registration import BLOCK
from memkit.plain_values import plain_fields
from memkit.statistics import LEAST_SEEDS, LOOKS, SEEDS_PER_LOOK, look_sizes

DIVERGENCE = ("withholds", "measured")
EXPECTATIONS = ("supported", "refuted", "equivalent", "not_supported", "open")
DEFAULT_SEEDS = 32
_LONGEST = 1000
"""The most characters of an entry of ``data=`` or ``environment=``."""
_ID = re.compile(r"[a-z0-9][a-z0-9._-]*(/[a-z0-9][a-z0-9._-]*)+")

TESTED = (
    *("arms", "contrasts", "derived", "requires", "positive_control", "expect", "gate", "test", "data"),
    "divergence",
    *(key for key in ORIGIN_KEYS if key != "cells"),  # a cell's digest must not change when the grid grows
)
"""Keys of a claim's JSON that its digest covers."""
ANNOTATIONS = ("statement", "source", "seeds", "seeds_per_look", "headline", "deterministic", "environment")
"""Fields that are registered, but that the digest does not cover: changing one costs no attempt."""
LISTS = {
    "contrasts": "contrasts",
    "derived": "names",
    "requires": "contrasts",
    "figures": "functions",
    "data": "names",
    "environment": "names",
}
"""Options that are lists, and what each list holds."""


def digest_of(data: Mapping[str, Any]) -> str:
    """Return a hash of plain types, 32 hex digits, that does not depend on the order of the keys."""
    text = json.dumps(data, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _is_whole(value: object, least: int, most: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and least <= value <= most


def _without_name(name: str, arm: Mapping[str, Any]) -> str:
    """Return what an arm is, apart from its name: the digest of its JSON; its name if it has no recipe."""
    return name if arm["recipe"] is None else digest_of({"arm": arm})


def _without_empty(contrast: Mapping[str, Any]) -> dict[str, Any]:
    """Return a contrast's JSON without its empty and false fields. A margin of 0 is not empty, and stays."""
    return {name: value for name, value in contrast.items() if value is not None and value is not False and value != ""}


@dataclass(frozen=True, kw_only=True)
class Claim:
    """A scientific claim: what is compared, on how many seeds at most, and which verdict is expected.

    Attributes:
        id: ``study/name``, lower case, unique in the suite.
        statement: the sentence that is tested.
        arms: the arms by name.
        contrasts: all of them must hold for the claim to be SUPPORTED (an intersection–union test, which needs no
            correction for multiplicity).
        derived: names of quantities that the test returns in addition to its arms (a slope, an interaction).
        requires: preconditions, such as "the memory changes predictions"; if one is not met, the claim is INCOMPLETE.
        positive_control: for ``expect="equivalent"``: a contrast that must be SUPPORTED on the same seeds, at a margin
            of at least the largest sesoi. Without it, the equivalence may only show that the measurement is too
            insensitive.
        expect: the verdict that is registered; any other verdict fails the run.
        gate: whether the verdict can fail the run. By default it can, except for ``open`` claims.
        divergence: "withholds": an arm that diverged in training may have any value that its bounds allow, so that
            divergence can withhold a verdict, but not cause one. "measured": the test scores such an arm itself, for a
            claim about divergence.
        seeds: the most seeds that the claim may use, 6 to 100; None means 32. It stops when it is decided. If it is
            still undecided, the number may be raised at any time. A claim that assumes normality uses 8, 16 or 32.
        seeds_per_look: how many seeds are trained before the verdict is looked at again; None means 4. It does not
            change the verdict.
        headline: whether the claim is part of the short run.
        deterministic: whether every seed may give the same values. Without it, a claim is INCOMPLETE if each of its
            arms gives one and the same value on all seeds, since the cause may be a random state that was fixed by
            mistake.
        data: files or folders on which the measurement depends although memkit cannot see that they are read, because
            native code or another process reads them; paths are relative to the project's root.
        environment: names of environment variables that the measurement depends on.
        source: where the claim was made, with its number there.
        figures: functions ``figure(arms, seed)`` that return one figure of the first seed's trained models or a list of
            figures: :class:`memkit.evidence.figures.Heatmap`, :class:`~memkit.evidence.figures.Lines` or
            :class:`~memkit.evidence.figures.Table`. A function with a parameter ``trained`` also receives the trained
            runs with their histories. Figures are shown next to the verdict, decide nothing, and are not registered.
        test: digest of the test function's syntax tree (set by :func:`claim`).
        origin: what the claim is derived from (set by :func:`memkit.sweep`, :func:`memkit.multiverse`,
            :func:`memkit.mutant` and :func:`memkit.replicated`); None if it is not derived.

    Raises:
        MemkitError: a field is not valid; the message names the field and what would be right.

    >>> from memkit import Arm, Claim, Contrast
    >>> contrast = Contrast("memory", over="baseline", metric="accuracy", bounds=(0, 1))
    >>> arms = {"memory": Arm(), "baseline": Arm()}
    >>> claim = Claim(id="recall/memory", statement="Memory improves recall.", arms=arms, contrasts=(contrast,))
    >>> claim.study, claim.metrics, claim.planned(None)
    ('recall', ('accuracy',), 32)
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
    divergence: str = "withholds"
    seeds: int | None = None
    seeds_per_look: int | None = None
    headline: bool = False
    deterministic: bool = False
    data: tuple[str, ...] = ()
    environment: tuple[str, ...] = ()
    # What is shown with it.
    source: str = ""
    figures: tuple[Callable[..., Any], ...] = field(default=(), repr=False, compare=False)
    # What memkit sets.
    test: str = field(default="", repr=False)
    origin: Origin | None = None

    def __post_init__(self) -> None:
        plain_fields(self, "seeds", "seeds_per_look", "headline", "gate", "deterministic")
        where = f"claim {self.id!r}"
        if not isinstance(self.id, str) or not _ID.fullmatch(self.id):
            raise MemkitError(f"{where}: an id must read study/name, in lower-case letters, digits, '-', '_' and '.'")
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
                raise MemkitError(f"{where}: the name of an arm must be a non-empty string, not {name!r}")
        if not self.arms:
            raise MemkitError(
                f'{where}: there are no arms; give arms={{"name": recipe, ...}}, or the names that the test measures'
            )
        for name, arm in self.arms.items():
            if not isinstance(arm, Arm):
                raise MemkitError(f"{where}: the arm {name!r} is {describe(arm)}; write Arm(recipe)")
        if not self.contrasts:
            raise MemkitError(
                f'{where}: there is no contrast; give contrasts=[Contrast("treatment", over="control", ...)]'
            )
        if self.expect not in EXPECTATIONS:
            raise MemkitError(
                f"{where}: expect={self.expect!r} is not a verdict{suggestion(str(self.expect), EXPECTATIONS)}"
            )
        if not all(callable(figure) and hasattr(figure, "__qualname__") for figure in self.figures):
            raise MemkitError(f"{where}: figures={list(self.figures)!r} must be named functions of arms and seed")
        if self.divergence not in DIVERGENCE:
            raise MemkitError(f"{where}: divergence={self.divergence!r} must be one of {', '.join(DIVERGENCE)}")
        if self.seeds is not None and not _is_whole(self.seeds, LEAST_SEEDS, BLOCK):
            raise MemkitError(
                f"{where}: seeds={reprlib.repr(self.seeds)} must be a whole number from {LEAST_SEEDS} to {BLOCK}"
            )
        if self.seeds_per_look is not None and not _is_whole(self.seeds_per_look, 1, BLOCK):
            raise MemkitError(
                f"{where}: seeds_per_look={reprlib.repr(self.seeds_per_look)} must be a whole number from 1 to {BLOCK}"
            )
        if not isinstance(self.headline, bool) or not (self.gate is None or isinstance(self.gate, bool)):
            raise MemkitError(
                f"{where}: headline={self.headline!r} must be True or False, and gate={self.gate!r} True, False or None"
            )
        if not isinstance(self.deterministic, bool):
            raise MemkitError(f"{where}: deterministic={self.deterministic!r} must be True or False")
        for name, example in (("data", "data/table.csv"), ("environment", "MY_FLAG")):
            for value in getattr(self, name):
                if not isinstance(value, str) or not value.strip() or not value.isprintable() or len(value) > _LONGEST:
                    raise MemkitError(f'{where}: {name}= must be a list of names, as in {name}=["{example}"]')
                if name == "data" and (".." in value.split("/") or not value.strip("./")):
                    raise MemkitError(
                        f"{where}: data={value!r} must name a file or folder below the project's root, or be an "
                        "absolute path"
                    )
        if not isinstance(self.source, str):
            raise MemkitError(f"{where}: source={self.source!r} must be a string that says where the claim was made")
        if not isinstance(self.test, str):
            raise MemkitError(f"{where}: test={self.test!r} must be a string, the digest of the test function")
        if not (self.origin is None or isinstance(self.origin, Origin)):
            raise MemkitError(f"{where}: origin={self.origin!r} must be a SweepCell, a Mutant, a Replication or None")
        for contrast in self.all_contrasts:
            if not isinstance(contrast, Contrast):
                raise MemkitError(
                    f'{where}: {contrast!r} is not a Contrast; write Contrast("treatment", over="control", ...)'
                )
        sizes = [look.n for look in LOOKS]
        if self.assumes_normality and self.planned(None) not in sizes:
            raise MemkitError(
                f"{where}: seeds={self.seeds!r} must be one of {sizes}, the looks of Student's t, as the claim assumes "
                "normality"
            )
        known = {*self.arms, *self.derived}
        for name in self.derived:
            if name in self.arms:
                raise MemkitError(f"{where}: {name!r} is both an arm and a derived quantity; rename one of them")
        for contrast in self.all_contrasts:
            for name in contrast.names:
                if name not in known:
                    unknown = f"names an unknown arm {name!r}{suggestion(name, known)}"
                    raise MemkitError(f"{where}: the contrast «{contrast.label}» {unknown}")
            if contrast.clip and (derived := next((name for name in contrast.names if name in self.derived), None)):
                raise MemkitError(
                    f"{where}: the contrast «{contrast.label}» clips {derived!r}, which is derived; only the metric of "
                    "an arm may be clipped"
                )
        _ = self.judged_positive_control  # which refuses a control that can never be shown
        if self.expect == "equivalent":
            if self.positive_control is None:
                raise MemkitError(
                    f"{where}: a claim of equivalence needs positive_control=Contrast(...), an effect that "
                    "the same measurement does detect"
                )
            without_sesoi = [c.label for c in self.contrasts if c.sesoi is None]
            if without_sesoi:
                raise MemkitError(f"{where}: equivalence needs sesoi= on every contrast; «{without_sesoi[0]}» has none")

    def planned(self, requested: int | None) -> int:
        """Return the largest number of seeds that a run uses: what the claim declares, or 32, capped by the run.

        Args:
            requested: the value of ``--seeds``, or None if it was not given.
        """
        most = self.seeds or DEFAULT_SEEDS
        return most if requested is None else min(requested, most)

    def looks(self, planned: int) -> tuple[int, ...]:
        """Return the numbers of seeds after which the verdict is looked at, if ``planned`` seeds are used at most.

        >>> contrast = Contrast("memory", over=0.5, metric="accuracy", bounds=(0, 1))
        >>> claim = Claim(id="recall/memory", statement="Beats chance.", arms={"memory": Arm()}, contrasts=(contrast,))
        >>> claim.looks(18)
        (8, 12, 16, 18)
        """
        if self.assumes_normality:
            return tuple(look.n for look in LOOKS if look.n <= planned) or (planned,)
        return look_sizes(planned, every=self.seeds_per_look or SEEDS_PER_LOOK) if planned else ()

    @property
    def study(self) -> str:
        """The first part of the id."""
        return self.id.split("/", 1)[0]

    @property
    def is_standalone(self) -> bool:
        """True if the claim is not derived: not a cell of a sweep, not a mutant and not a replication."""
        return self.origin is None

    @property
    def sweep(self) -> str:
        """The id of the sweep that the claim is a cell of; "" if it is not a cell."""
        return self.origin.sweep if isinstance(self.origin, SweepCell) else ""

    @property
    def cell(self) -> Mapping[str, str | int | float]:
        """The claim's position in its sweep, factor → value; empty if it is not a cell."""
        return self.origin.cell if isinstance(self.origin, SweepCell) else {}

    @property
    def is_mutant(self) -> bool:
        """True if the claim has an arm that is broken on purpose."""
        return isinstance(self.origin, Mutant)

    @property
    def is_replication(self) -> bool:
        """True if the claim repeats another one on another backend."""
        return isinstance(self.origin, Replication)

    @property
    def parent_id(self) -> str:
        """The id of the claim that this is a mutant or a replication of; "" if it is neither."""
        return self.origin.of if isinstance(self.origin, Mutant | Replication) else ""

    @property
    def needs_sweeps(self) -> bool:
        """True if the claim runs only with sweeps: a cell, or a replication that is not a headline claim."""
        return bool(self.sweep) or (self.is_replication and not self.headline)

    @property
    def all_contrasts(self) -> tuple[Contrast, ...]:
        """Contrasts, preconditions and the positive control."""
        control = (self.positive_control,) if self.positive_control is not None else ()
        return (*self.contrasts, *self.requires, *control)

    @property
    def metrics(self) -> tuple[str, ...]:
        """The distinct metrics of all contrasts, in order of appearance."""
        return tuple(dict.fromkeys(contrast.metric for contrast in self.all_contrasts))

    @cached_property
    def metrics_of(self) -> Mapping[str, tuple[str, ...]]:
        """The metrics that contrasts compare, sorted, for each arm or derived quantity."""
        return {
            name: tuple(sorted({contrast.metric for contrast in self.all_contrasts if name in contrast.names}))
            for name in self.measured
        }

    @property
    def measured(self) -> tuple[str, ...]:
        """The names that the test must return: every arm and derived quantity."""
        return (*self.arms, *self.derived)

    @property
    def gates(self) -> bool:
        """True if the claim's verdict can fail a run."""
        if self.expect == "open":
            return False
        return self.gate is not False

    @cached_property
    def assumes_normality(self) -> bool:
        """True if Student's t decides one of the contrasts, so that the claim may be looked at three times only."""
        return any(contrast.assume == "normal" for contrast in self.all_contrasts)

    @cached_property
    def judged_positive_control(self) -> Contrast | None:
        """The positive control with the margin at which it has to be SUPPORTED: at least the largest sesoi."""
        if self.positive_control is None:
            return None
        margins = [self.positive_control.margin, *(contrast.sesoi or 0.0 for contrast in self.contrasts)]
        bounds = self.positive_control.difference_bounds
        margin = max(margins)
        if bounds is not None and not margin < bounds[1]:
            raise MemkitError(
                f"claim {self.id!r}: the positive control «{self.positive_control.label}» cannot exceed {margin:g}, "
                "the largest sesoi, within its bounds; choose one that can"
            )
        return replace(self.positive_control, margin=margin)

    @cached_property
    def digest(self) -> str:
        """A hash of what is tested, as registration fixes it: 32 hex digits.

        It covers the number of seeds in the two cases in which that number is part of the test. Student's t alone is
        valid only for the looks that were planned. And a claim that is expected not to be supported passes if it is
        undecided, which fewer seeds would make more likely; a mutant that is undecided does not pass, since it has to
        fail.
        """
        fields = self.to_json()
        # Empty fields are left out, so that claims that were registered before a field existed keep their digests.
        data = {name: fields[name] for name in TESTED if fields[name] not in (None, "", [], {})}
        for name in {"contrasts", "requires"} & data.keys():
            data[name] = [_without_empty(contrast) for contrast in data[name]]
        if self.positive_control is not None:
            data["positive_control"] = _without_empty(data["positive_control"])
        passes_undecided = self.expect == "not_supported" and not self.is_mutant
        if self.divergence == DIVERGENCE[0]:
            del data["divergence"]
        if passes_undecided or self.assumes_normality:
            data["seeds"] = self.planned(None)
        return digest_of(data)

    @cached_property
    def identity(self) -> str:
        """A hash of what is measured and compared, 32 hex digits: the arms, the metrics and the test.

        Claims with one identity are attempts at one claim, whatever their id, names of arms, margins, bounds, numbers
        of seeds and expectations. The lock continues the attempts of an earlier claim with the same identity.
        """
        arms = {name: _without_name(name, arm.to_json()) for name, arm in self.arms.items()}
        compared = sorted(
            {
                (
                    arms.get(contrast.treatment, contrast.treatment),
                    arms.get(contrast.over, contrast.over) if isinstance(contrast.over, str) else "",
                    contrast.metric,
                )
                for contrast in self.contrasts
            }
        )
        origin = {name: value for name, value in origin_to_json(self.origin).items() if name == "cell"}
        kind = type(self.origin).__name__
        return digest_of({"arms": sorted(arms.values()), "compared": compared, "test": self.test, kind: origin})

    @cached_property
    def annotations(self) -> Mapping[str, Any]:
        """The registered fields that the digest does not cover, as plain types; empty and false ones are left out."""
        values = {name: getattr(self, name) for name in ANNOTATIONS}
        return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items() if value}

    def to_json(self) -> dict[str, Any]:
        """Return every field as plain types."""
        return {
            "id": self.id,
            "statement": self.statement,
            "arms": {name: arm.to_json() for name, arm in self.arms.items()},
            "contrasts": [contrast.to_json() for contrast in self.contrasts],
            "source": self.source,
            "expect": self.expect,
            "divergence": self.divergence,
            "seeds": self.seeds,
            "seeds_per_look": self.seeds_per_look,
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
        """Return the claim that :meth:`to_json` wrote; its arms hold the recipes' JSON instead of recipes.

        Raises:
            MemkitError: a field is not valid.
        """
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
