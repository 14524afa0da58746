"""The evidence of a run: every claim with its observations, intervals and verdict, as one JSON file.

The file holds all that the verdicts were computed from, so they can be computed again from it alone
(:func:`recompute`), without torch and without the models. What it cannot show is that the observations
themselves are true: that takes training a seed again, ``memkit reproduce``.

Schema 1::

    schema      1
    created     when, ISO 8601, UTC
    provenance  memkit, python, numpy, scipy, torch, pytest, platform, device, command, commit, dirty, lock (digest),
                seeds (at most so many a claim, as asked for; or a text) and gate
    studies     study → how its authors read what was found, in paragraphs: the docstring of its package
    metrics     study → metric → what it is, in words: METRICS of its package
    curves      digest of a recipe → arms (claim: arm), and seeds: seed → [steps, training losses], thinned
    claims      a list; each:
      claim         id, statement, arms (name → recipe, intervention), contrasts, source, expect, seeds,
                    headline, derived, requires, positive_control, gate, test (digest of the test function)
      digest        of the claim, as the lock registers it
      nodeid        of the test, without the seed
      registration  status, attempt, first_seed; revision and recoded: how often the code behind the claim was
                    registered anew, and whether it differs from that
      planned       seeds that this run might use, in the order of the looks; those beyond the decisive look
                    need not have been observed
      observations  rows [seed, arm, metric, value or null, reason]
      failures      seed → why the test raised, or its worker died
      judgement     verdict, look, n, indication, missing, notes, findings (one a contrast: verdict, estimate,
                    n, intervals with method, level, low, high; p, tost_p, provisional, negligible,
                    planning, notes)
      outcome       passed, failed or skipped, and reason
      arms          name → digest of the trained recipe, parameters, steps, diverged (how many seeds did),
                    and, where recorded, cpu_seconds (mean CPU seconds of training a seed), state_size (numbers
                    that a sequence leaves in the model's memory), tuning (how the recipe was chosen)
      drift         sentences: how verdict and effects changed since the run that was accepted
      changes       sentences: what else did, the code behind the claim, say, or the cost
      figures       of the first seed, each with kind and title; heatmap: rows, columns, values, span; lines: x, y,
                    series (name, x, y), identity, log, steps, span; table: columns, rows. Without a kind: a heatmap
      cost          CPU seconds: trained (its models, whenever that was), measured; reused: share of the seeds
                    whose measurement came from the store
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from memkit.errors import MemkitError
from memkit.evidence.claim import Claim
from memkit.evidence.curves import Curves
from memkit.evidence.figures import Figure, figure_from_json
from memkit.evidence.gate import Gate, Mode, gate, strictly
from memkit.evidence.judgement import Judgement, Verdict
from memkit.evidence.observation import Observation
from memkit.evidence.registration import Registration
from memkit.evidence.verdict import judge
from memkit.files import write_whole

if TYPE_CHECKING:
    import pandas as pd

SCHEMA = 1
COLUMNS = ("study", "claim", "seed", "arm", "metric", "value", "reason", "used", "verdict")
"""Of ``evidence.csv``: ``used`` says whether the seed counted for the verdict."""
# What reading JSON of another form than the schema's can raise.
_DAMAGED = (KeyError, IndexError, TypeError, AttributeError, ValueError, OverflowError)


@dataclass(frozen=True, kw_only=True)
class ClaimEvidence:
    """One claim's part of the evidence; see the module's schema for the fields."""

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
    cost: Mapping[str, float] = field(default_factory=dict)

    @property
    def verdict(self) -> Verdict:
        """The claim's verdict."""
        return self.judgement.verdict

    @property
    def seen(self) -> tuple[int, ...]:
        """The planned seeds that were observed, in the order of the looks."""
        observed = {observation.seed for observation in self.observations}
        return tuple(seed for seed in self.planned if seed in observed)

    def told(self) -> dict[str, Any]:
        """What later runs are held against, in plain types."""
        arms = {name: dict(arm) for name, arm in self.arms.items()}
        return {"judgement": self.judgement.to_json(), "arms": arms, "digest": self.claim.digest}

    @property
    def saved(self) -> tuple[int, ...]:
        """The planned seeds that were never run, since the looks had ended before; none where seeds are missing."""
        if self.judgement.missing:
            return ()
        ran = {*self.seen, *self.failures}
        return tuple(seed for seed in self.planned if seed not in ran)

    def to_json(self) -> dict[str, Any]:
        """Plain types, as the schema says."""
        return {
            "claim": self.claim.to_json(),
            "digest": self.claim.digest,
            "nodeid": self.nodeid,
            "registration": asdict(self.registration),
            "planned": list(self.planned),
            "observations": [observation.to_json() for observation in self.observations],
            "failures": {str(seed): reason for seed, reason in self.failures.items()},
            "judgement": self.judgement.to_json(),
            "outcome": {"outcome": self.gate.outcome, "reason": self.gate.reason},
            "arms": {name: dict(arm) for name, arm in self.arms.items()},
            "figures": [figure.to_json() for figure in self.figures],
            "drift": list(self.drift),
            "changes": list(self.changes),
            "cost": dict(self.cost),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> ClaimEvidence:
        """Read one claim; the judgement is computed from the observations, not read."""
        claim = Claim.from_json(data["claim"])
        registration = Registration(**data["registration"])
        observations = tuple(Observation.from_json(claim.id, row) for row in data["observations"])
        if len({(o.seed, o.arm, o.metric) for o in observations}) < len(observations):
            raise MemkitError(f"claim {claim.id!r} has two observations of one arm and seed")
        planned = tuple(int(seed) for seed in data["planned"])
        if unplanned := sorted({o.seed for o in observations} - set(planned)):
            raise MemkitError(f"claim {claim.id!r} has observations of seed {unplanned[0]}, which was not planned")
        return cls(
            claim=claim,
            nodeid=data["nodeid"],
            registration=registration,
            planned=planned,
            observations=observations,
            judgement=judge(claim, observations, planned=planned, development=registration.development),
            gate=Gate(data["outcome"]["outcome"], data["outcome"]["reason"]),
            failures={int(seed): str(reason) for seed, reason in data["failures"].items()},
            arms=data["arms"],
            figures=tuple(figure_from_json(figure) for figure in data.get("figures", ())),
            drift=tuple(str(sentence) for sentence in data.get("drift", ())),
            changes=tuple(str(sentence) for sentence in data.get("changes", ())),
            cost=data["cost"],
        )


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """The evidence of a run."""

    created: str
    provenance: Mapping[str, Any]
    claims: tuple[ClaimEvidence, ...]
    studies: Mapping[str, str] = field(default_factory=dict)
    metrics: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    curves: Mapping[str, Curves] = field(default_factory=dict)

    @cached_property
    def digest(self) -> str:
        """Of what verdicts rest on, claims and observations: a page and a file that say the same belong together."""
        rows = [
            [entry.claim.id, entry.claim.digest, [o.to_json() for o in entry.observations]] for entry in self.claims
        ]
        return hashlib.sha256(json.dumps(sorted(rows), ensure_ascii=False).encode()).hexdigest()[:32]

    def of_claims(self, claims: Iterable[ClaimEvidence]) -> Evidence:
        """That of some of its claims, with the studies, metrics and learning curves that are theirs."""
        claims = tuple(claims)
        ids, studies = {entry.claim.id for entry in claims}, {entry.claim.study for entry in claims}
        return replace(
            self,
            claims=claims,
            studies={study: text for study, text in self.studies.items() if study in studies},
            metrics={study: said for study, said in self.metrics.items() if study in studies},
            curves={
                digest: curves
                for digest, curves in self.curves.items()
                if any(arm.partition(": ")[0] in ids for arm in curves.arms)
            },
        )

    def to_json(self) -> dict[str, Any]:
        """Plain types, as the schema says."""
        return {
            "schema": SCHEMA,
            "created": self.created,
            "provenance": dict(self.provenance),
            "studies": dict(self.studies),
            "metrics": {study: dict(said) for study, said in self.metrics.items()},
            "curves": {digest: curves.to_json() for digest, curves in self.curves.items()},
            "claims": [claim.to_json() for claim in self.claims],
        }

    def to_frame(self) -> pd.DataFrame:
        """Return a tidy frame with one row per observation, and the columns of ``evidence.csv``."""
        import pandas as pd

        return pd.DataFrame(self._rows(), columns=list(COLUMNS))

    def to_csv(self) -> str:
        """Return the text of ``evidence.csv``: one row per observation; a value that is not finite is empty."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows(("" if cell != cell else cell for cell in row) for row in self._rows())
        return text.getvalue()

    def _rows(self) -> list[tuple[Any, ...]]:
        used = [frozenset(entry.seen[: entry.judgement.n]) for entry in self.claims]
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
        """Write the JSON file, whole or not at all."""
        write_whole(path, self._text())

    def _text(self) -> str:
        """Return the JSON, one claim per line. An indented text would take ten times as long to write."""

        def line(value: Any) -> str:
            return json.dumps(value, ensure_ascii=False, allow_nan=False)

        data = self.to_json()
        claims = ",\n".join(map(line, data.pop("claims")))
        head = "".join(f"{line(name)}: {line(value)},\n" for name, value in data.items())
        return f'{{\n{head}"claims": [\n{claims}\n]\n}}\n'


def seeds_saved(claims: Iterable[ClaimEvidence]) -> tuple[int, int]:
    """How many seeds the looks saved by ending early.

    Returns:
        ``(saved, planned)`` over the claims whose looks ended, decided or not: seeds that were never run, and the
        most that could have been. Claims with missing seeds count in neither.
    """
    ended = [entry for entry in claims if not entry.judgement.missing]
    return sum(len(entry.saved) for entry in ended), sum(len(entry.planned) for entry in ended)


def load(path: Path) -> Evidence:
    """Read an evidence file. Every verdict is computed again from the observations.

    Raises:
        MemkitError: no such file, not an evidence file, damaged, or of another schema.
    """
    data = _read(path)
    try:
        claims = tuple(ClaimEvidence.from_json(entry) for entry in data["claims"])
        ids = [entry.claim.id for entry in claims]
        if len(set(ids)) < len(ids):
            raise MemkitError(f"{path} holds one claim twice")
        studies = {str(study): str(text) for study, text in data.get("studies", {}).items()}
        return Evidence(
            created=str(data["created"]),
            provenance=dict(data["provenance"]),
            claims=claims,
            studies=studies,
            metrics={
                str(study): {str(metric): str(text) for metric, text in said.items()}
                for study, said in data.get("metrics", {}).items()
            },
            curves={str(digest): Curves.from_json(curves) for digest, curves in data.get("curves", {}).items()},
        )
    except _DAMAGED as error:
        raise MemkitError(f"{path} is no evidence file of schema {SCHEMA}: {_said(error)}") from error


def recompute(path: Path) -> list[tuple[str, str, str]]:
    """Compute every verdict of a file again, and compare.

    Returns:
        ``(claim id, recorded, recomputed)`` for each claim. The texts hold the verdict and, where only an
        interval, a digest, the seeds or the outcome differ, say so; they are equal where nothing differs.

    Raises:
        MemkitError: as :func:`load`.
    """
    data = _read(path)
    evidence = load(path)
    rows = []
    for raw, entry in zip(data["claims"], evidence.claims, strict=True):
        try:
            recorded = str(raw["judgement"]["verdict"])
            differing = _differing(raw, entry)
        except _DAMAGED as error:
            raise MemkitError(f"{path} is no evidence file of schema {SCHEMA}: {_said(error)}") from error
        found = entry.verdict.value
        if recorded == found and differing:
            found += f" ({differing})"
        rows.append((entry.claim.id, recorded, found))
    return rows


def _differing(raw: Mapping[str, Any], entry: ClaimEvidence) -> str:
    """What of a claim's record does not follow from its observations, but for the verdict; or ""."""
    if raw["digest"] != entry.claim.digest:
        return "the claim's digest differs"
    if entry.planned != entry.registration.seeds(len(entry.planned)):
        return "the seeds are not those of the registration"  # in another order other looks decide
    if not _close(raw["judgement"], entry.judgement.to_json()):
        return "intervals differ"
    possible = set()
    for mode in get_args(Mode):
        found = gate(
            entry.claim,
            entry.judgement,
            registration=entry.registration,
            failures=dict(entry.failures),
            mode=mode,
            drift=entry.drift,
        )
        possible |= {found.outcome, strictly(found, entry.judgement, registration=entry.registration).outcome}
    return "" if entry.gate.outcome in possible else "the outcome differs"


def _close(a: Any, b: Any, tolerance: float = 1e-6) -> bool:
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(_close(a[key], b[key]) for key in a)
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(_close, a, b))
    if isinstance(a, float) or isinstance(b, float):
        numbers = isinstance(a, (int, float)) and isinstance(b, (int, float))
        return numbers and abs(a - b) <= tolerance * max(1.0, abs(a), abs(b))
    return bool(a == b)


def _read(path: Path) -> dict[str, Any]:
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise MemkitError(f"{path} does not exist; a run of claims writes it") from error
    except (OSError, ValueError, RecursionError) as error:
        raise MemkitError(f"{path} cannot be read as JSON: {error}") from error
    if not isinstance(data, dict) or "schema" not in data:
        raise MemkitError(f"{path} is no evidence file: it has no schema")
    if data["schema"] != SCHEMA:
        raise MemkitError(f"{path} has schema {data['schema']!r}; this memkit reads schema {SCHEMA}")
    return data


def _said(error: Exception) -> str:
    return f"{error.args[0]!r} is missing" if isinstance(error, KeyError) else str(error)
