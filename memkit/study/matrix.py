"""A staged study as it is written in ``matrix.yaml``: configurations, controls and two stages.

docs/staged.md describes what a matrix may contain.
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
        name: the name, which is part of a claim's id.
        family: the group in which it competes if promotion is within families.
        controls: the names of the controls that it is compared with if it is promoted.
        differs: the settings that differ from the shared ones; dotted name → value.
    """

    name: str
    family: str
    controls: tuple[str, ...]
    differs: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Screen:
    """Stage A: the ``best`` configurations by a metric are promoted, and those under ``always`` in any case."""

    seeds: int
    by: str
    higher: bool
    best: int
    within: str
    always: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Confirm:
    """Stage B: the options that all its contrasts and claims share; see :class:`memkit.Contrast` and docs/staged.md."""

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
        study: the beginning of the claims' ids, ``study/configuration``.
        title, source: texts, or "".
        shared: the settings that all configurations share, as in the file.
        score: ``score(model, (inputs, targets))`` → a number or ``{metric: number}``.
        examples: the number of examples drawn for validation and for testing, if the task is a function.
        configurations: name → configuration, in the order of the file.
        controls: name → the name of a configuration, or changes to the promoted one.
        screen, confirm: the two stages.
        reported: name of a configuration → the value in the study's source, for the tables.
        notes: "interpretation" and "open" → the author's own sentences.
        setting_names: the names of all settings that have a value somewhere; null may remove them from a configuration.
        digest: the digest of the whole file except title, source, reported and notes.
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
    setting_names: frozenset[str]
    digest: str

    @property
    def promoted_path(self) -> Path:
        """The file that records which configurations were promoted."""
        return self.path.with_name(f"{self.path.stem}.promoted.json")

    @property
    def score_reference(self) -> str:
        """The name of the score, ``module:name``."""
        return reference(self.score)

    @cached_property
    def candidates(self) -> tuple[str, ...]:
        """The names of the configurations that compete: those that no control refers to."""
        controls = {control for control in self.controls.values() if isinstance(control, str)}
        return tuple(name for name in self.configurations if name not in controls)

    def control(self, name: str, configuration: str) -> Subject:
        """Return the subject that a control refers to, for a configuration that is compared with it.

        Raises:
            MemkitError: its changes do not fit the configuration, or change nothing.
        """
        given = self.controls[name]
        if isinstance(given, str):
            return self.configurations[given]
        promoted = self.configurations[configuration]
        where = f"{self.path.name}: controls: {name}: for {configuration}"
        try:
            subject = subject_of(merged(promoted.settings, given), where, self.setting_names)
        except MemkitError as error:
            hint = f"; if it is not for {configuration}, list the controls of {configuration}, controls: [...]"
            raise MemkitError(f"{error}{hint}") from None
        if subject.identity == promoted.identity:
            raise MemkitError(
                f"{where} it changes nothing; list the controls that {configuration} is compared with, controls: [...]"
            )
        return subject

    def run_name(self, arm: str, configuration: str) -> str:
        """Return the folder name for the runs of an arm of a claim: ``wide``, ``linear``, ``wide+half``."""
        given = self.controls.get(arm) if arm != configuration else configuration
        return given if isinstance(given, str) else f"{configuration}+{arm}"
