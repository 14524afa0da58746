"""The file that a staged study is written in, ``matrix.yaml``, checked at every level before anything runs.

What a matrix may say is in docs/staged.md.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from memkit.errors import MemkitError
from memkit.evidence.contrast import Contrast
from memkit.recipes.references import reference
from memkit.study.settings import Settings, merged
from memkit.study.subjects import Subject, subject_of


@dataclass(frozen=True, kw_only=True)
class Configuration(Subject):
    """One of the configurations that are screened.

    Attributes:
        name: as a part of a claim's id.
        family: what it competes in, where promotion is within families.
        controls: names of the controls that it is held against when it is promoted.
        differs: what its settings have that the shared ones have not; dotted name → value.
    """

    name: str
    family: str
    controls: tuple[str, ...]
    differs: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Screen:
    """Stage A: ``best`` by a metric are promoted, and ``always`` whatever they score; see docs/staged.md."""

    seeds: int
    by: str
    higher: bool
    best: int
    within: str
    always: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Confirm:
    """Stage B: what all its contrasts and claims have in common; see :class:`memkit.Contrast` and docs/staged.md."""

    metric: str
    higher: bool
    bounds: tuple[float, float] | None
    assume: str
    margin: float
    sesoi: float | None
    seeds: int | None
    expect: str

    def contrast(self, treatment: str, over: str) -> Contrast:
        """Return the contrast of a configuration over a control."""
        return Contrast(
            treatment,
            over=over,
            metric=self.metric,
            bounds=self.bounds,
            direction="higher" if self.higher else "lower",
            margin=self.margin,
            sesoi=self.sesoi,
            assume=self.assume,  # type: ignore[arg-type]
        )


@dataclass(frozen=True, kw_only=True)
class Matrix:
    """A staged study.

    Attributes:
        path: the file.
        study: the claims are ``study/configuration``.
        title, source: texts, or "".
        shared: the settings that all configurations share, as the file has them.
        score: ``score(model, (inputs, targets))`` → a number or ``{metric: number}``.
        examples: how many are drawn for validation and for testing, of tasks that are functions.
        configurations: name → configuration, in the order of the file.
        controls: name → the name of a configuration, or changes to the promoted one.
        screen, confirm: the two stages.
        reported: name of a configuration → what the source says of it, for the tables.
        notes: "interpretation" and "open" → the author's own sentences.
        names: of all settings that have a value somewhere; what null may take away from a configuration.
        digest: of all that the file says, but for title, source, reported and notes.
    """

    path: Path
    study: str
    title: str
    source: str
    shared: Settings
    score: Callable[..., Any]
    examples: int
    configurations: Mapping[str, Configuration]
    controls: Mapping[str, str | Settings]
    screen: Screen
    confirm: Confirm
    reported: Mapping[str, str]
    notes: Mapping[str, tuple[str, ...]]
    names: frozenset[str]
    digest: str

    @property
    def promoted_path(self) -> Path:
        """The file that says which configurations were promoted."""
        return self.path.with_name(f"{self.path.stem}.promoted.json")

    @property
    def score_reference(self) -> str:
        """The name of the score."""
        return reference(self.score)

    @cached_property
    def candidates(self) -> tuple[str, ...]:
        """The configurations that compete: those that no control stands for."""
        named = {control for control in self.controls.values() if isinstance(control, str)}
        return tuple(name for name in self.configurations if name not in named)

    def control(self, name: str, configuration: str) -> Subject:
        """Return what a control is for a configuration.

        Raises:
            MemkitError: its changes do not fit the configuration, or change nothing.
        """
        given = self.controls[name]
        if isinstance(given, str):
            return self.configurations[given]
        own = self.configurations[configuration]
        where = f"{self.path.name}: controls: {name}: for {configuration}"
        try:
            made = subject_of(merged(own.settings, given), where, self.names)
        except MemkitError as error:
            hint = f"; if it is not for {configuration}, name its controls there, controls: [...]"
            raise MemkitError(f"{error}{hint}") from None
        if made.same_as == own.same_as:
            raise MemkitError(
                f"{where} it changes nothing; name the controls that {configuration} is held against, controls: [...]"
            )
        return made

    def place_of(self, arm: str, configuration: str) -> str:
        """Return the name that the runs of an arm of a claim are filed under: ``wide``, ``linear``, ``wide+half``."""
        given = self.controls.get(arm) if arm != configuration else configuration
        return given if isinstance(given, str) else f"{configuration}+{arm}"
