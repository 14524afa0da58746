"""The second opinion, which knows only the documentation, agrees with the engine on random claims."""

from __future__ import annotations

import json
import math
import re
import runpy
import sys
import tokenize
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from memkit.errors import MemkitError
from memkit.evidence import Arm, Claim, ClaimEvidence, Contrast, Observation, Registration, gate, judge
from memkit.evidence.origin import Mutant
from tests.inner import run
from tests.pytest_plugin.lab import INLINE, canned, write_suite

from . import second_opinion
from .entries import MANY
from .planted import FIRST, OVER, around, constant, make, observations_of
from .second_opinion import disagreements

BOUNDS = {"accuracy": (0.0, 1.0), "loss": (0.0, 5.0), "clipped": (-1.0, 1.0), "free": None}
"""The bounds of each metric; the values of the last one are in [−1, 1], too."""
RANDOM_CLAIMS = 600


def random_contrast(rng: np.random.Generator, *, normal: bool) -> Contrast:
    """Return a contrast; a free one, without bounds, only with normal theory."""
    metric = str(rng.choice(list(BOUNDS)[: 4 if normal else 3]))
    bounds = BOUNDS[metric]
    low, high = bounds or (-1.0, 1.0)
    treatment, control = rng.permutation(["a", "b", "c"])[:2]
    return Contrast(
        str(treatment),
        over=str(control) if rng.random() < 0.7 else low + float(rng.choice([0, 0.1, 0.5, 1])) * (high - low),
        metric=metric,
        bounds=bounds,
        direction="lower" if metric == "loss" else "higher",
        margin=float(rng.choice([0, 0, 0, -0.3, 0.05, 0.3])) * (high - low),
        sesoi=None if rng.random() < 0.4 else float(rng.choice([0.1, 0.3, 0.5, 0.9, 0.9])) * (high - low),
        assume="normal" if normal and (bounds is None or rng.random() < 0.6) else "bounded",
        clip=metric == "clipped",
    )


def random_claim(rng: np.random.Generator) -> Claim:
    """Return a claim with up to three contrasts, a precondition and a positive control."""
    normal, mutant = bool(rng.random() < 0.3), bool(rng.random() < 0.25)
    contrasts = tuple(random_contrast(rng, normal=normal) for _ in range(rng.choice([1, 1, 2, 3])))
    control = random_contrast(rng, normal=normal) if rng.random() < 0.4 else None
    has_sesoi = control is not None and all(contrast.sesoi for contrast in contrasts)
    expect = str(rng.choice(["supported", "open", "not_supported", "equivalent" if has_sesoi else "refuted"]))
    return Claim(
        id="study/name",
        statement="A beats B.",
        arms={name: Arm() for name in "abc"},
        contrasts=contrasts,
        requires=tuple(random_contrast(rng, normal=normal) for _ in range(rng.random() < 0.15)),
        positive_control=control,
        expect="not_supported" if mutant else expect,
        seeds=int(rng.choice([8, 16, 32] if normal else [6, 8, 20, 32, 40])),
        deterministic=bool(rng.random() < 0.8),
        origin=Mutant("study/other") if mutant else None,
    )


def random_observations(rng: np.random.Generator, claim: Claim, seeds: tuple[int, ...]) -> list[Observation]:
    """Return the observations of the seeds: of three arms that may be constant, tied, at a bound or diverge."""
    found = []
    divergence = rng.choice([0, 0, 0, 0.05, 0.3])
    spread = rng.choice([0, 0.02, 0.1, 0.3])
    is_tied, is_at_bounds = rng.random() < 0.2, rng.random() < 0.15
    for metric in claim.metrics:
        low, high = BOUNDS[metric] or (-1.0, 1.0)
        beyond = 0.3 if metric == "clipped" else 0
        for arm in claim.arms:
            middle = rng.choice([0.0, 1.0] if is_at_bounds else [-beyond, 0.02, 0.3, 0.5, 0.52, 0.9, 1 + beyond])
            share = middle + spread * rng.normal(size=len(seeds)) * (not is_at_bounds)
            values = low + (high - low) * np.clip(share.round(1) if is_tied else share, -beyond, 1 + beyond)
            values[rng.random(len(seeds)) < divergence] = math.nan
            rows = zip(seeds, values.tolist(), strict=True)
            found += [Observation(claim=claim.id, seed=seed, arm=arm, metric=metric, value=x) for seed, x in rows]
    return found


def random_record(number: int) -> dict[str, Any]:
    """Return a random claim, with the engine's judgement."""
    rng = np.random.default_rng(number)
    while True:
        try:
            claim = random_claim(rng)
            break
        except MemkitError:  # a margin or a sesoi that the bounds do not allow
            continue
    registration = Registration(
        status="registered",
        attempt=int(rng.choice([1, 1, 2, 3, 4])),
        first_seed=int(rng.choice([0, *[FIRST] * 9])),
        alpha=float(rng.choice([0.05, 0.05, 0.1, 0.01])),
    )
    seeds = registration.seeds(claim.planned(None))
    last = len(seeds) if rng.random() < 0.75 else int(rng.integers(0, len(seeds) + 1))
    absent = int(rng.choice([*[-1] * 9, rng.integers(0, len(seeds))]))
    observed = tuple(seed for i, seed in enumerate(seeds[:last]) if i != absent)
    return judged(claim, random_observations(rng, claim, observed), registration)


def judged(
    claim: Claim,
    observations: list[Observation],
    registration: Registration = Registration(status="registered", attempt=1, first_seed=FIRST),  # noqa: B008
) -> dict[str, Any]:
    """Return the claim as a part of an evidence file, with the engine's judgement."""
    seeds = registration.seeds(claim.planned(None))
    options = {"thresholds": registration.thresholds, "development": registration.development}
    judgement = judge(claim, observations, planned=seeds, **options)
    entry = ClaimEvidence(
        claim=claim,
        nodeid="claims/test_it.py::test_it",
        registration=registration,
        planned=seeds,
        observations=tuple(observations),
        judgement=judgement,
        gate=gate(claim, judgement, registration=registration, failures={}),
    )
    return dict(json.loads(json.dumps(entry.to_json())))


@pytest.fixture(scope="module")
def records() -> list[dict[str, Any]]:
    return [random_record(number) for number in range(RANDOM_CLAIMS)]


def test_the_random_claims_have_all_verdicts(records: list[dict[str, Any]]) -> None:
    verdicts = Counter(r["judgement"]["verdict"] for r in records)
    assert set(verdicts) == {"SUPPORTED", "REFUTED", "EQUIVALENT", "INCONCLUSIVE", "INCOMPLETE"}
    assert min(verdicts.values()) >= 15
    short = [r for r in records if r["judgement"]["verdict"] == "INCONCLUSIVE" and r["judgement"]["decided_at"]]
    futile = [r for r in records if any("stopped at" in note for note in r["judgement"]["notes"])]
    assert len(short) >= 5, "mutants that are decided, but INCONCLUSIVE"
    assert len(futile) >= 3
    methods = Counter(f["interval"]["method"] for r in records for f in r["judgement"]["findings"])
    assert min(methods["betting"], methods["student-t"]) >= 50


def test_it_agrees_on_verdicts_seeds_and_limits(records: list[dict[str, Any]]) -> None:
    found = [(number, disagreements({"claims": [r]})) for number, r in enumerate(records)]
    assert not [(number, lines) for number, lines in found if lines]


SESOI = replace(OVER, sesoi=0.3)
CONTROL = Contrast("c", over=0.05, metric="accuracy", bounds=(0, 1))
EDGES = {
    "the control reaches its own margin, but not the sesoi": (
        make(SESOI, positive_control=CONTROL),
        {**constant(0, 32), "c": [0.36] * 32},
        ("INCONCLUSIVE", 32),
    ),
    "the control reaches the sesoi": (
        make(SESOI, positive_control=CONTROL),
        {**constant(0, 32), "c": [0.9] * 32},
        ("EQUIVALENT", 10),
    ),
    "margin + sesoi of a mutant lies beyond the bounds": (
        make(replace(SESOI, margin=0.9), origin=Mutant("study/other"), expect="not_supported", seeds=8),
        constant(0.9, 8),
        ("INCONCLUSIVE", 8),
    ),
    "one side of ±sesoi holds by the bounds": (
        make(Contrast("a", over=0.25, metric="accuracy", bounds=(0, 1), margin=-0.24, sesoi=0.25)),
        {"a": [0.0] * 32},
        ("EQUIVALENT", 6),
    ),
    "every value is at a bound": (
        make(replace(OVER, sesoi=0.9), deterministic=False),
        {"a": [1.0] * 32, "b": [1.0] * 32},
        ("EQUIVALENT", 6),
    ),
    "every value is the same": (make(deterministic=False), constant(0.9, 32), ("INCOMPLETE", 32)),
    "a treatment always diverges": (
        make(deterministic=False),
        {"a": [math.nan] * 32, "b": [0.5] * 32},
        ("INCONCLUSIVE", 32),
    ),
    "differences of normal theory have not varied yet": (
        make(replace(OVER, assume="normal")),
        {"a": [0.25, 0.75] * 8, "b": [0.25, 0.75] * 8},
        ("INCOMPLETE", 16),
    ),
    "normal theory shows both SUPPORTED and EQUIVALENT, and the other contrast only EQUIVALENT": (
        make(
            replace(OVER, assume="normal", sesoi=0.9),
            Contrast("b", over="c", metric="accuracy", bounds=(0, 1), sesoi=0.9),
        ),
        {"a": around(0.6, 32), "b": [0.5] * 32, "c": [0.5] * 32},
        ("EQUIVALENT", 16),
    ),
    "a value without bounds is unknown": (
        make(replace(OVER, assume="normal", bounds=None)),
        {"a": [math.nan, *around(0.5, 31)], "b": around(0.1, 32, 0.02)},
        ("INCOMPLETE", 32),
    ),
}


@pytest.mark.parametrize("edge", EDGES)
def test_it_agrees_where_the_documentation_says_what_holds_in_a_special_case(edge: str) -> None:
    claim, values, expected = EDGES[edge]
    record = judged(claim, observations_of(values))
    assert (record["judgement"]["verdict"], record["judgement"]["n"]) == expected
    assert not disagreements({"claims": [record]})


@pytest.mark.parametrize(
    ("keys", "value"),
    [
        (("verdict",), "EQUIVALENT"),
        (("n",), 5),
        (("findings", 0, "interval", "low"), -0.123),
        (("findings", 0, "interval", "high"), None),
        (("findings",), []),
    ],
)
def test_it_finds_what_is_falsified(keys: tuple[Any, ...], value: Any) -> None:
    data = json.loads(json.dumps(MANY.to_json()))
    assert not disagreements(data)
    inner = data["claims"][0]["judgement"]
    for key in keys[:-1]:
        inner = inner[key]
    inner[keys[-1]] = value
    assert len(disagreements(data)) == 1


def test_it_agrees_on_an_evidence_file_of_the_plugin(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write_suite(
        pytester,
        canned("better"),
        canned("worse", "0.1", "0.9"),
        canned("undecided", "0.5 + 0.2 * (-1) ** seed", "0.5", options="seeds=12,"),
        canned("futile", "0.5 + 0.01 * (-1) ** seed", "0.5"),
        canned("failing", body="if seed % 10 == 9: raise ValueError", treatment="0.6", control="0.4"),
        canned("diverging", "float('nan')", "0.5", options="seeds=8,"),
    )
    run(pytester, INLINE)
    file = pytester.path / "reports" / "evidence.json"
    data = json.loads(file.read_text(encoding="utf-8"))
    assert len({r["judgement"]["verdict"] for r in data["claims"]}) >= 4
    capsys.readouterr()
    monkeypatch.setattr(sys, "argv", ["second_opinion.py", str(file)])
    with pytest.raises(SystemExit) as done:
        runpy.run_path(second_opinion.__file__, run_name="__main__")
    assert (done.value.code, capsys.readouterr().out) == (0, "The second opinion agrees on every claim.\n")


def test_it_is_independent() -> None:
    text = Path(second_opinion.__file__).read_text(encoding="utf-8")
    imports = {line.split()[1].partition(".")[0] for line in text.splitlines() if line.startswith(("import", "from"))}
    assert imports - sys.stdlib_module_names == {"numpy"}


def test_what_it_quotes_is_in_the_documentation() -> None:
    pages = [Path(__file__).parents[2] / "docs" / f"{name}.md" for name in ("verdicts", "claims")]
    text = plain(" ".join(page.read_text(encoding="utf-8") for page in pages))
    path = Path(second_opinion.__file__)
    with tokenize.open(path) as file:
        tokens = [t.string for t in tokenize.generate_tokens(file.readline)]
    prose = [t for t in tokens if t.startswith("#")] + [t.strip('"') for t in tokens if t.startswith('"""')]
    quoted = [piece for t in prose for phrase in re.findall(r'"([^"]+)"', t) for piece in phrase.split("…")]
    assert len(quoted) > 20
    assert not [piece for piece in quoted if plain(piece) not in text]


def plain(text: str) -> str:
    """Return text without marks and line breaks, in lower case."""
    return " ".join(text.translate(str.maketrans("", "", "`*")).lower().split())
