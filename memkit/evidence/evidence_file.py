"""The evidence of a run: every claim with its observations, intervals and verdict, as one JSON file.

The file holds everything that the verdicts were computed from, so they can be recomputed from the file alone, without
torch and without the models (:mod:`memkit.evidence.evidence_loading`). The file cannot show that the observations
themselves are true; to check that, train a seed again with ``memkit reproduce``.

Schema 2::

    schema      2
    created     when the run was made, ISO 8601, UTC
    provenance  memkit, python, numpy, scipy, torch, pytest, platform, device, command, commit, dirty, lock (digest),
                seeds (the most seeds per claim, as requested; or a string) and gate
    studies     study → its authors' interpretation of the results, in paragraphs: the docstring of its package
    metrics     study → metric → its description: METRICS of its package
    registered  id → the e-value over the recorded attempts, for every claim that was ever registered
    curves      digest of a recipe → arms (claim: arm), and seeds: seed → [steps, training losses], thinned
    claims      a list; each claim has:
      claim         id, statement, arms (name → recipe, intervention), contrasts, source, expect, seeds,
                    seeds_per_look, headline, derived, requires, positive_control, gate, divergence, test (digest of
                    the test function), deterministic, data, environment; sweep, cell (factor → value) and cells (how
                    many the sweep has), mutant_of and replicates (ids of claims), empty where they do not apply.
                    A contrast, which requires and positive_control hold, too, has treatment, over (an arm or a number),
                    metric, bounds of the metric, direction, margin, sesoi, assume, clip
      digest        digest of the claim, as registered in the lock
      nodeid        node id of the test, without the seed
      registration  status, attempt, first_seed; revision: how many times the code behind the claim was registered
                    again; recoded: whether that code differs from what was registered; edited: the fields outside the
                    digest that were edited since; withheld: whether the claim is on development seeds because what it
                    tests was edited; alpha: the error probability at the first attempt. Where they apply: earlier, the
                    attempts before this one, as in the lock; recorded, the outcome of this attempt if the code has
                    changed since it was recorded; same_values: whether the values are the same nevertheless;
                    laboratory, the name of the laboratory that made the run
      planned       the seeds that this run might use, in order; those beyond the seed that decided need not have
                    been observed
      observations  rows [seed, arm, metric, value or null, reason]; a derived quantity has rows of its own, with its
                    name as the arm
      failures      seed → why the test raised, or why its worker died
      judgement     verdict, decided_at (the number of seeds; null if undecided), n, indication, missing, notes,
                    findings (one per contrast: margin, bounds of the difference, verdict, estimate, sd (standard
                    deviation), n; interval: method, its low and high limit and their levels; capital: above and below
                    the margin, and equivalence, null if infinite; needed: the capital that each verdict needs; p,
                    negligible, planning, notes)
      e_value       the e-value for the registered expectation; null if there is none
      outcome       outcome (passed, failed or skipped) and reason
      arms          name → digest of the trained recipe, parameters, steps, diverged (the number of seeds that diverged)
                    and, where recorded, cpu_seconds (mean CPU seconds of training per seed), state_size (how many
                    numbers the model's memory holds per sequence), tuning (how the recipe was chosen)
      drift         sentences on how the verdict and the effects changed since the accepted run
      changes       sentences on what else changed, such as the code behind the claim, or the cost
      figures       figures of the first seed, each with kind and title; heatmap: rows, columns, values, span; lines: x,
                    y, series (name, x, y), identity, log, steps, span; table: columns, rows. Without a kind: a heatmap
      remeasured    sentences on seeds that were measured twice: the second measurement differed from the first, which
                    counts, or a file that they depend on had changed
      cost          CPU seconds: trained (training its models, whenever that was), measured; reused: the share of the
                    seeds whose measurement came from the store
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from memkit.evidence.claim import Claim
from memkit.evidence.e_values import e_value
from memkit.evidence.figures import Figure
from memkit.evidence.gate import Gate, Mode, apply_strict_mode, gate
from memkit.evidence.learning_curves import Curves
from memkit.evidence.observation import Observation
from memkit.evidence.registration import Registration
from memkit.evidence.verdict import Judgement, Verdict
from memkit.files import write_whole

if TYPE_CHECKING:
    import pandas as pd


SCHEMA = 2
COLUMNS = ("study", "claim", "seed", "arm", "metric", "value", "reason", "used", "verdict")
"""The columns of ``evidence.csv``; ``used`` says whether the seed counted towards the verdict."""


@dataclass(frozen=True, kw_only=True)
class ClaimEvidence:
    """The evidence for one claim; the fields are described in the schema of :mod:`memkit.evidence.evidence_file`.

    >>> from memkit.evidence import Arm, Claim, ClaimEvidence, Contrast, Gate, Registration, judge
    >>> contrast = Contrast("memory", over=0.5, metric="accuracy", bounds=(0, 1))
    >>> claim = Claim(id="recall/memory", statement="Beats chance.", arms={"memory": Arm()}, contrasts=(contrast,))
    >>> registration = Registration(status="registered", attempt=1, first_seed=10_000)
    >>> entry = ClaimEvidence(
    ...     claim=claim, nodeid="claims/test_recall.py::test_memory", registration=registration,
    ...     planned=registration.seeds(8), observations=(), judgement=judge(claim, [], planned=registration.seeds(8)),
    ...     gate=Gate("skipped", "not run"),
    ... )
    >>> entry.verdict.value, entry.decided
    ('INCOMPLETE', False)
    """

    claim: Claim
    nodeid: str
    registration: Registration
    planned: tuple[int, ...]
    observations: tuple[Observation, ...]
    judgement: Judgement
    gate: Gate
    failures: Mapping[int, str] = field(default_factory=dict)
    arms: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    figures: tuple[Figure, ...] = ()
    drift: tuple[str, ...] = ()
    changes: tuple[str, ...] = ()
    remeasured: tuple[str, ...] = ()
    cost: Mapping[str, float] = field(default_factory=dict)

    @property
    def verdict(self) -> Verdict:
        """The verdict on the claim."""
        return self.judgement.verdict

    @property
    def e_value(self) -> float | None:
        """The e-value of the claim for its registered expectation; None if it has none.

        If the code behind the claim has changed the values, it is not above the recorded one, and there is none if the
        recorded verdict was not reached again.
        """
        value, recorded = e_value(self.claim, self.judgement), self.registration.recorded
        if value is None or recorded is None or self.registration.same_values:
            return value
        if self.judgement.decided_at is None:
            return None
        return value if recorded.e_value is None else min(value, recorded.e_value)

    @property
    def decided(self) -> bool:
        """True if the claim's seeds decide anything; if not, reports show no contrast as settled."""
        return self.judgement.indication is None and self.verdict is not Verdict.INCOMPLETE

    @property
    def observed_seeds(self) -> tuple[int, ...]:
        """The planned seeds that were observed, in order."""
        observed = {observation.seed for observation in self.observations}
        return tuple(seed for seed in self.planned if seed in observed)

    def gate_by(self, mode: Mode, *, strict: bool) -> Gate:
        """Return the gate's result in this mode, whatever the mode of the run that measured the claim."""
        result = gate(
            self.claim,
            self.judgement,
            registration=self.registration,
            failures=dict(self.failures),
            mode=mode,
            drift=self.drift,
        )
        return (
            apply_strict_mode(result, self.claim, self.judgement, registration=self.registration) if strict else result
        )

    def as_accepted(self) -> dict[str, Any]:
        """Return the judgement, the arms and the digest as plain types, as accepted.json holds them."""
        arms = {name: dict(arm) for name, arm in self.arms.items()}
        return {"judgement": self.judgement.to_json(), "arms": arms, "digest": self.claim.digest}

    @property
    def observed(self) -> str:
        """A hash of the observations that the verdict rests on, in the order of the seeds: 32 hex digits."""
        return observed_hash(self.observations, self.observed_seeds[: self.judgement.n])

    @property
    def saved_seeds(self) -> tuple[int, ...]:
        """The planned seeds that were not run because the claim ended earlier; none if seeds are missing."""
        if self.judgement.missing:
            return ()
        ran = {*self.observed_seeds, *self.failures}
        return tuple(seed for seed in self.planned if seed not in ran)

    def to_json(self) -> dict[str, Any]:
        """Return plain types, as described in the schema."""
        return {
            "claim": self.claim.to_json(),
            "digest": self.claim.digest,
            "nodeid": self.nodeid,
            "registration": self.registration.to_json(),
            "planned": list(self.planned),
            "observations": [observation.to_json() for observation in self.observations],
            "failures": {str(seed): reason for seed, reason in self.failures.items()},
            "judgement": self.judgement.to_json(),
            "e_value": self.e_value,
            "outcome": {"outcome": self.gate.outcome, "reason": self.gate.reason},
            "arms": {name: dict(arm) for name, arm in self.arms.items()},
            "figures": [figure.to_json() for figure in self.figures],
            "drift": list(self.drift),
            "changes": list(self.changes),
            "remeasured": list(self.remeasured),
            "cost": dict(self.cost),
        }


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """The evidence of a run.

    Attributes:
        created: when the run was made, ISO 8601, UTC.
        provenance: versions, platform, device, command, commit and options of the run.
        claims: the evidence for each claim.
        studies: study → its authors' interpretation of the results.
        metrics: study → metric → its description.
        curves: digest of a recipe → its learning curves.
        registered: claim id → the e-value over its recorded attempts, for every claim that was ever registered
            (:meth:`memkit.evidence.Lock.e_values`); it may be empty.

    >>> from memkit.evidence import Evidence
    >>> evidence = Evidence(created="2025-07-29T12:00:00+00:00", provenance={"commit": None}, claims=())
    >>> evidence.to_csv()
    'study,claim,seed,arm,metric,value,reason,used,verdict\\n'
    """

    created: str
    provenance: Mapping[str, Any]
    claims: tuple[ClaimEvidence, ...]
    studies: Mapping[str, str] = field(default_factory=dict)
    metrics: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    curves: Mapping[str, Curves] = field(default_factory=dict)
    registered: Mapping[str, float] = field(default_factory=dict)

    @cached_property
    def digest(self) -> str:
        """A hash of the claims and observations; a page and a file with the same hash belong together."""
        rows = [
            [entry.claim.id, entry.claim.digest, entry.claim.annotations, [o.to_json() for o in entry.observations]]
            for entry in sorted(self.claims, key=lambda entry: entry.claim.id)
        ]
        return hashlib.sha256(json.dumps(rows, sort_keys=True, ensure_ascii=False).encode()).hexdigest()[:32]

    def of_claims(self, claims: Iterable[ClaimEvidence]) -> Evidence:
        """Return the evidence for these claims only, with their studies, metrics and learning curves."""
        claims = tuple(claims)
        ids, studies = {entry.claim.id for entry in claims}, {entry.claim.study for entry in claims}
        return replace(
            self,
            claims=claims,
            studies={study: text for study, text in self.studies.items() if study in studies},
            metrics={study: descriptions for study, descriptions in self.metrics.items() if study in studies},
            curves={
                digest: curves
                for digest, curves in self.curves.items()
                if any(arm.partition(": ")[0] in ids for arm in curves.arms)
            },
        )

    def to_json(self) -> dict[str, Any]:
        """Return plain types, as described in the schema."""
        return {
            "schema": SCHEMA,
            "created": self.created,
            "provenance": dict(self.provenance),
            "studies": dict(self.studies),
            "metrics": {study: dict(descriptions) for study, descriptions in self.metrics.items()},
            "registered": dict(self.registered),
            "curves": {digest: curves.to_json() for digest, curves in self.curves.items()},
            "claims": [claim.to_json() for claim in self.claims],
        }

    def to_frame(self) -> pd.DataFrame:
        """Return a tidy data frame with one row per observation and the columns of ``evidence.csv``."""
        import pandas as pd

        return pd.DataFrame(self._rows(), columns=list(COLUMNS))

    def to_csv(self) -> str:
        """Return the text of ``evidence.csv``: one row per observation; nan becomes an empty cell."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows(("" if cell != cell else cell for cell in row) for row in self._rows())
        return text.getvalue()

    def _rows(self) -> list[tuple[Any, ...]]:
        used = [frozenset(entry.observed_seeds[: entry.judgement.n]) for entry in self.claims]
        return [
            (
                entry.claim.study,
                entry.claim.id,
                o.seed,
                o.arm,
                o.metric,
                o.value,
                o.reason,
                o.seed in seeds,
                entry.verdict.value,
            )
            for entry, seeds in zip(self.claims, used, strict=True)
            for o in entry.observations
        ]

    def save(self, path: Path) -> None:
        """Write the JSON file; if writing fails, an existing file stays as it was."""
        write_whole(path, self._text())

    def _text(self) -> str:
        """Return the JSON, one claim per line; indented JSON would take ten times as long to write."""

        data = self.to_json()
        claims = ",\n".join(map(_line, data.pop("claims")))
        head = "".join(f"{_line(name)}: {_line(value)},\n" for name, value in data.items())
        return f'{{\n{head}"claims": [\n{claims}\n]\n}}\n'


def observed_hash(observations: Iterable[Observation], seeds: Sequence[int]) -> str:
    """Return a hash of the observations of these seeds, in their order: 32 hex digits."""
    positions = {seed: position for position, seed in enumerate(seeds)}
    used = [o for o in observations if o.seed in positions]
    used.sort(key=lambda o: (positions[o.seed], o.arm, o.metric))
    return hashlib.sha256("\n".join(_line(o.to_json()) for o in used).encode()).hexdigest()[:32]


def _line(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


def seeds_saved(claims: Iterable[ClaimEvidence]) -> tuple[int, int]:
    """Return how many seeds did not have to be run because the claims ended early.

    Returns:
        ``(saved, planned)``, summed over the claims that ended, decided or not: the seeds that were not run, and
        the seeds that were planned. Claims with missing seeds are not counted.

    >>> from memkit.evidence import seeds_saved
    >>> seeds_saved([])
    (0, 0)
    """
    ended = [entry for entry in claims if not entry.judgement.missing]
    return sum(len(entry.saved_seeds) for entry in ended), sum(len(entry.planned) for entry in ended)
