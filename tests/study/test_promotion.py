"""The promotion rule and the file of promoted configurations."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memkit import MemkitError
from memkit.study.promotion import Entrant, Policy, Promotion, load_promotion, promote


def entrants(values: Sequence[float], families: str = "") -> list[Entrant]:
    return [
        Entrant(name=f"c{i}", family=families[i] if families else "", scores={0: {"m": value}})
        for i, value in enumerate(values)
    ]


def promoted(candidates: list[Entrant], **rule: object) -> list[str]:
    """Return the names of the promoted entrants."""
    policy = Policy(**{"by": "m", "higher": True, "best": 1, **rule})  # type: ignore[arg-type]
    return [outcome.name for outcome in promote(candidates, policy) if outcome.promoted]


def test_the_best_are_promoted_in_the_direction_of_the_rule() -> None:
    assert promoted(entrants([0.1, 0.9, 0.5]), best=2) == ["c1", "c2"]
    assert promoted(entrants([0.1, 0.9, 0.5]), best=2, higher=False) == ["c0", "c2"]


def test_ties_are_broken_by_the_order_of_the_file() -> None:
    assert promoted(entrants([0.5, 0.5, 0.5]), best=2) == ["c0", "c1"]
    assert promoted(entrants([0.5, 0.5, 0.5]), best=1, higher=False) == ["c0"]


def test_ties_are_reported() -> None:
    outcomes = promote(entrants([0.5, 0.9, 0.5]), Policy(by="m", higher=False, best=1))
    assert [outcome.why for outcome in outcomes] == [
        "rank 1 of 3, tied with 1 and placed by the order of the file",
        "rank 3 of 3, beyond the best 1",
        "rank 2 of 3, tied with 1 and placed by the order of the file, beyond the best 1",
    ]


def test_an_entrant_without_a_finite_mean_is_never_among_the_best() -> None:
    assert promoted(entrants([math.nan, 0.1, math.inf]), best=3) == ["c1"]
    mixed = Entrant(name="mixed", family="", scores={0: {"m": 1.0}, 1: {"m": math.nan}})
    assert promoted([mixed, *entrants([0.1])], best=1) == ["c0"]
    assert promoted(entrants([math.nan]), always=("c0",)) == ["c0"]


def test_within_families_and_always() -> None:
    assert promoted(entrants([0.1, 0.9, 0.5, 0.4], "aabb"), within="family") == ["c1", "c2"]
    # A configuration that is always promoted does not take the place of another.
    assert promoted(entrants([0.1, 0.9, 0.5]), always=("c1",)) == ["c1", "c2"]
    control = Entrant(name="control", family="", scores={0: {"m": 1.0}}, competes=False)
    assert promoted([control, *entrants([0.1])]) == ["c0"]


def test_every_outcome_has_a_reason() -> None:
    policy = Policy(by="m", higher=True, best=1, within="family", always=("c0",))
    outcomes = promote([*entrants([0.1, 0.9, 0.5, math.nan], "aaab")], policy)
    assert [outcome.why for outcome in outcomes] == [
        "always",
        "rank 1 of 2 of family «a»",
        "rank 2 of 2 of family «a», beyond the best 1",
        "its score is not finite",
    ]
    assert policy.sentence == (
        "In each family, the one with the highest mean m on the validation examples of the development seeds is "
        "promoted, ties in the order of the file; «c0» is promoted whatever it scores."
    )


@given(
    st.lists(st.one_of(st.floats(0, 1), st.just(math.nan)), min_size=1, max_size=12),
    st.integers(1, 12),
    st.booleans(),
)
def test_no_other_entrant_scored_better_than_a_promoted_one(values: list[float], best: int, higher: bool) -> None:
    outcomes = promote(entrants(values), Policy(by="m", higher=higher, best=best))
    inside = [o.mean for o in outcomes if o.promoted]
    outside = [o.mean for o in outcomes if not o.promoted and math.isfinite(o.mean)]
    assert len(inside) == min(best, sum(map(math.isfinite, values)))
    if inside and outside:
        assert min(inside) >= max(outside) if higher else max(inside) <= min(outside)


def test_the_file_is_read_back_and_edits_are_detected(tmp_path: Path) -> None:
    policy = Policy(by="m", higher=True, best=1)
    candidates = tuple(entrants([0.25, 0.5, math.nan]))
    promotion = Promotion(
        study="lab/x",
        matrix="0" * 32,
        seeds=(0,),
        policy=policy,
        entrants=candidates,
        outcomes=tuple(promote(candidates, policy)),
    )
    path = tmp_path / "x.promoted.json"
    assert load_promotion(path) is None
    assert promotion.save(path)
    assert not promotion.save(path)
    loaded = load_promotion(path)
    assert loaded is not None
    assert (loaded.promoted, loaded.policy, loaded.to_json()) == (("c1",), policy, promotion.to_json())

    data = json.loads(path.read_text())
    path.write_text(json.dumps({**data, "promoted": ["c0"]}))
    with pytest.raises(MemkitError, match="it promotes c0, but by its scores and its rule it should promote c1"):
        load_promotion(path)
    path.write_text(json.dumps({**data, "schema": 2}))
    with pytest.raises(MemkitError, match="schema 2"):
        load_promotion(path)
    path.write_text("{")
    with pytest.raises(MemkitError, match="is damaged"):
        load_promotion(path)
