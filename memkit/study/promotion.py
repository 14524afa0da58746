"""The promotion of configurations from screening to confirmation, by a rule fixed beforehand, and its file.

``xor.promoted.json``, beside ``xor.yaml`` and under version control, contains the screening scores of every
configuration and the names of the promoted ones. The claims of stage B are made from it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from memkit.errors import MemkitError
from memkit.evidence import strict_json
from memkit.files import write_whole

SCHEMA = 1


@dataclass(frozen=True, kw_only=True)
class Entrant:
    """A configuration and its scores.

    Attributes:
        scores: development seed → metric → value; nan where training diverged.
        competes: whether it competes to be among the best; a configuration that a control refers to does not.
        reported: the value in the study's source, or "".
    """

    name: str
    family: str
    scores: Mapping[int, Mapping[str, float]]
    competes: bool = True
    reported: str = ""


@dataclass(frozen=True, kw_only=True)
class Policy:
    """The promotion rule.

    Attributes:
        by: the metric; configurations are ranked by its mean over the development seeds.
        higher: whether higher values are better.
        best: how many configurations are promoted, overall or per family.
        within: "family", or "" for overall.
        always: configurations that are promoted whatever they score.
    """

    by: str
    higher: bool
    best: int
    within: str = ""
    always: tuple[str, ...] = ()

    @property
    def sentence(self) -> str:
        """The rule in words."""
        better = "highest" if self.higher else "lowest"
        parts = []
        if self.best:
            count = "the one" if self.best == 1 else f"the {self.best}"
            where = "in each family" if self.within else "of the configurations that compete"
            verb = "is" if self.best == 1 else "are"
            parts.append(
                f"{where}, {count} with the {better} mean {self.by} on the validation examples of the development "
                f"seeds {verb} promoted, ties in the order of the file"
            )
        if self.always:
            names = join_names(f"«{name}»" for name in self.always)
            end = "is promoted whatever it scores" if len(self.always) == 1 else "are promoted whatever they score"
            parts.append(f"{names} {end}")
        sentence = "; ".join(parts)
        return sentence[0].upper() + sentence[1:] + "."


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """The outcome for a configuration.

    Attributes:
        mean: the mean of the policy's metric over the development seeds; nan if a value is not finite.
        rank: the rank among those that it competed with, from 1; None if it did not compete.
        why: the reason why it was or was not promoted, as the end of a sentence.
    """

    name: str
    mean: float
    rank: int | None
    promoted: bool
    why: str


def promote(entrants: Iterable[Entrant], policy: Policy) -> list[Outcome]:
    """Return the outcomes of the rule in the order of the entrants; a mean that is not finite gets no rank."""
    entrants = list(entrants)
    means = {entrant.name: mean(entrant.scores, policy.by) for entrant in entrants}
    groups: dict[str, list[str]] = {}
    for entrant in entrants:
        if entrant.competes and entrant.name not in policy.always and math.isfinite(means[entrant.name]):
            groups.setdefault(entrant.family if policy.within else "", []).append(entrant.name)
    ranks: dict[str, _Rank] = {}
    for names in groups.values():
        # Sorting is stable: ties stay in the order of the file.
        ordered = sorted(names, key=lambda name: -means[name] if policy.higher else means[name])
        values = [means[name] for name in ordered]
        ranks |= {
            name: _Rank(place, len(names), values.count(means[name])) for place, name in enumerate(ordered, start=1)
        }
    return [_outcome(entrant, means[entrant.name], ranks.get(entrant.name), policy) for entrant in entrants]


class _Rank(NamedTuple):
    """The rank of an entrant.

    Attributes:
        place: from 1.
        competitors: the number of entrants that were ranked together.
        same_mean: the number of them with exactly this mean, itself included.
    """

    place: int
    competitors: int
    same_mean: int


def _outcome(entrant: Entrant, value: float, rank: _Rank | None, policy: Policy) -> Outcome:
    """Return the outcome for an entrant; ``value`` is its mean."""
    name = entrant.name
    if name in policy.always:
        return Outcome(name=name, mean=value, rank=None, promoted=True, why="always")
    if not entrant.competes:
        return Outcome(name=name, mean=value, rank=None, promoted=False, why="a control")
    if rank is None:
        return Outcome(name=name, mean=value, rank=None, promoted=False, why="its score is not finite")
    promoted = rank.place <= policy.best
    group = f" of family «{entrant.family}»" if policy.within and entrant.family else ""
    why = f"rank {rank.place} of {rank.competitors}{group}"
    if rank.same_mean > 1:
        why += f", tied with {rank.same_mean - 1} and placed by the order of the file"
    if not promoted:
        why += f", beyond the best {policy.best}" if policy.best else ", and none is promoted by rank"
    return Outcome(name=name, mean=value, rank=rank.place, promoted=promoted, why=why)


def mean(scores: Mapping[int, Mapping[str, float]], metric: str) -> float:
    """Return the mean of a metric over seeds; nan if a value is not finite or there are no seeds."""
    values = [row[metric] for row in scores.values()]
    return math.fsum(values) / len(values) if values and all(map(math.isfinite, values)) else math.nan


@dataclass(frozen=True, kw_only=True)
class Promotion:
    """The content of the file ``*.promoted.json``.

    Attributes:
        study: the beginning of the claims' ids.
        matrix: the digest of the matrix.
        seeds: the development seeds.
        policy: the promotion rule.
        entrants, outcomes: the configurations and what :func:`promote` returned for them, in the order of the matrix.
    """

    study: str
    matrix: str
    seeds: tuple[int, ...]
    policy: Policy
    entrants: tuple[Entrant, ...]
    outcomes: tuple[Outcome, ...]

    @property
    def promoted(self) -> tuple[str, ...]:
        """The names of the promoted configurations, in the order of the matrix."""
        return tuple(outcome.name for outcome in self.outcomes if outcome.promoted)

    def to_json(self) -> dict[str, Any]:
        """Return the content in plain types; a number that is not finite becomes None."""
        policy = self.policy
        return {
            "schema": SCHEMA,
            "study": self.study,
            "matrix": self.matrix,
            "seeds": list(self.seeds),
            "policy": {
                "by": policy.by,
                "higher": policy.higher,
                "best": policy.best,
                "within": policy.within,
                "always": list(policy.always),
                "sentence": policy.sentence,
            },
            "promoted": list(self.promoted),
            "configurations": {
                entrant.name: {
                    "family": entrant.family,
                    "competes": entrant.competes,
                    **({"reported": entrant.reported} if entrant.reported else {}),
                    "scores": {
                        str(seed): {metric: _finite(row[metric]) for metric in sorted(row)}
                        for seed, row in entrant.scores.items()
                    },
                    "mean": _finite(outcome.mean),
                    "rank": outcome.rank,
                    "promoted": outcome.promoted,
                    "why": outcome.why,
                }
                for entrant, outcome in zip(self.entrants, self.outcomes, strict=True)
            },
        }

    def save(self, path: Path) -> bool:
        """Write the file atomically, unless it has this content already.

        Returns:
            Whether the file was written.
        """
        text = json.dumps(self.to_json(), indent=1, ensure_ascii=False, allow_nan=False) + "\n"
        if path.is_file() and path.read_text(encoding="utf-8") == text:
            return False
        write_whole(path, text)
        return True


def load_promotion(path: Path) -> Promotion | None:
    """Read the file; None if it does not exist.

    Raises:
        MemkitError: the file is damaged, has another schema, or its promotions do not follow from its scores and rule.
    """
    try:
        data = strict_json.fields(strict_json.read_json(path), "the file", _FILE, *_FILE)
        if data["schema"] != SCHEMA:
            raise MemkitError(f"schema {data['schema']}; this memkit reads schema {SCHEMA}")
        rule = strict_json.fields(data["policy"], "policy", _POLICY, "by", "higher", "best")
        policy = Policy(
            **{name: rule[name] for name in _POLICY if name in rule and name != "always"},
            always=tuple(rule.get("always", ())),
        )
        entrants = tuple(_entrant(name, row, policy.by) for name, row in data["configurations"].items())
        if incomplete := next((e.name for e in entrants if set(data["seeds"]) - set(e.scores)), None):
            raise MemkitError(f"{incomplete!r} lacks the scores of a seed")
    except FileNotFoundError:
        return None
    except (OSError, MemkitError) as error:
        raise MemkitError(f"{path} is damaged ({error}); restore it from version control") from error
    promotion = Promotion(
        study=data["study"],
        matrix=data["matrix"],
        seeds=tuple(data["seeds"]),
        policy=policy,
        entrants=entrants,
        outcomes=tuple(promote(entrants, policy)),
    )
    recorded = data["promoted"]
    if list(promotion.promoted) != recorded:
        raise MemkitError(
            f"{path}: it promotes {join_names(recorded) or 'nothing'}, but by its scores and its rule it should "
            f"promote {join_names(promotion.promoted) or 'nothing'}; do not edit it, run `memkit study` again"
        )
    return promotion


_FILE: Mapping[str, Callable[[Any, str], Any]] = {
    "schema": strict_json.whole,
    "study": strict_json.text,
    "matrix": strict_json.text,
    "seeds": lambda seeds, what: [strict_json.whole(seed, what) for seed in strict_json.listed(seeds, what)],
    "policy": strict_json.mapping,
    "promoted": strict_json.texts,
    "configurations": strict_json.mapping,
}
_POLICY: Mapping[str, Callable[[Any, str], Any]] = {
    "by": strict_json.text,
    "higher": strict_json.flag,
    "best": strict_json.whole,
    "within": strict_json.text,
    "always": strict_json.texts,
}


def _entrant(name: str, value: Any, by: str) -> Entrant:
    """Return a configuration in the file as an entrant; every seed must have the metric ``by``."""
    checks = {"family": strict_json.text, "competes": strict_json.flag, "reported": strict_json.text}
    row = strict_json.fields(value, f"configuration {name:.80}", checks, "family", "competes", "scores")
    where = f"the scores of {name:.80}"
    scores: dict[int, dict[str, float]] = {}
    for key, given in strict_json.mapping(row["scores"], where).items():
        values = strict_json.fields(given, where, {}, by)
        scores[strict_json.seed_of(key, where)] = {
            metric: math.nan if value is None else strict_json.number(value, where) for metric, value in values.items()
        }
    return Entrant(
        name=name, family=row["family"], competes=row["competes"], reported=row.get("reported", ""), scores=scores
    )


def join_names(names: Iterable[str]) -> str:
    """Return names as a text: ``a, b and c``."""
    *first, last = [*names] or [""]
    return f"{', '.join(first)} and {last}" if first else last


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
