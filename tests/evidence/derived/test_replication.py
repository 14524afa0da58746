"""Replications: the same test and contrasts on another backend, with a separate verdict."""

from __future__ import annotations

from types import FunctionType
from typing import Any

import pytest

from memkit import Arm, Contrast, MemkitError, Recipe, claim, replicated
from memkit.evidence.claim import Claim
from memkit.evidence.claim_decorator import claim_of
from memkit.evidence.derived.replication import describe_counts, where_it_holds
from memkit.evidence.origin import Replication
from memkit.evidence.verdict import Verdict
from memkit.models import LSTMNetwork, SlotNetwork
from memkit.recipes.recipe import Recipe as TrainingRecipe
from memkit.tasks.binding import Retrieval
from tests.machines import toys

SLOTS = Recipe(Retrieval(), SlotNetwork, options={"addressing": "factorised"}, steps=3, tuning="not tuned")
OVER = Contrast("a", over="b", metric="accuracy", bounds=(0, 1))


def off(model: Any) -> Any:
    return model


def _measured(arms: Any) -> dict[str, float]:
    return dict.fromkeys(arms, 0.5)


def module(arms: Any = None, **options: Any) -> dict[str, Any]:
    """Return the globals of a module that holds a claim with a replication."""
    namespace: dict[str, Any] = {"__name__": "made"}
    template: Any = _measured
    function: Any = FunctionType(template.__code__, namespace, "test_it")
    function.__qualname__ = "test_it"
    arms = arms or {"a": Arm(SLOTS, off), "b": SLOTS.with_(model=LSTMNetwork, options={})}
    function = claim("study/name", "A beats B.", arms=arms, contrasts=[OVER], headline=True, seeds=16)(function)
    namespace["test_it"] = replicated("mlx", **options)(function)
    return namespace


def replication_of(**options: Any) -> Claim:
    derived = claim_of(module(**options)["test_it__replicated_mlx"])
    assert derived is not None
    return derived


def test_every_arm_is_trained_on_the_other_backend() -> None:
    derived = replication_of()
    assert (derived.id, derived.origin, derived.statement) == (
        "study/name/mlx",
        Replication("study/name"),
        "A beats B.",
    )
    assert [arm.recipe.backend for arm in derived.arms.values()] == ["mlx", "mlx"]
    assert derived.arms["a"].intervention is off
    assert derived.arms["a"].recipe.tuning == "not tuned; not tuned again in MLX"
    assert derived.contrasts == (OVER,)
    assert (derived.expect, derived.seeds, derived.headline, derived.gates) == ("supported", 16, False, True)
    assert not derived.is_standalone


def test_expectation_and_seeds_of_a_replication_may_differ() -> None:
    derived = replication_of(expect="open", seeds=8, headline=True)
    assert (derived.expect, derived.seeds, derived.headline) == ("open", 8, True)


def test_only_headlines_run_without_sweeps() -> None:
    assert replication_of().needs_sweeps
    assert not replication_of(headline=True).needs_sweeps


def test_the_claim_itself_is_left_as_it_was() -> None:
    namespace = claim_of(module()["test_it"])
    assert namespace is not None
    assert (namespace.origin, namespace.is_standalone, namespace.needs_sweeps) == (None, True, False)
    assert namespace.arms["a"].recipe.backend == "torch"


def test_registration_tells_a_replication_from_its_claim_and_older_claims_keep_their_digest() -> None:
    namespace = claim_of(module()["test_it"])
    assert namespace is not None
    assert replication_of().digest != namespace.digest
    data = namespace.to_json()
    assert data.pop("replicates") == ""
    assert Claim.from_json(data).digest == Claim.from_json(namespace.to_json()).digest == namespace.digest


@pytest.mark.parametrize(
    ("arms", "message"),
    [
        (("a", "b"), "the arm 'a' has no backend"),
        ({"a": Recipe(toys.Halves(), toys.Ordinary), "b": SLOTS}, "Ordinary is not an mlx.nn.Module"),
    ],
    ids=["fitted", "unknown"],
)
def test_claims_that_cannot_be_replicated_are_refused(arms: Any, message: str) -> None:
    with pytest.raises(MemkitError, match=message):
        module(arms)


def test_there_has_to_be_a_claim_below() -> None:
    with pytest.raises(MemkitError, match="write @replicated above @claim"):
        replicated("mlx")(_measured)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"backend": "jax"}, "backend='jax' is unknown"),
        ({"backend": "mxl"}, "did you mean 'mlx'"),
        ({"backend": "mlx", "validate_every": 5}, "validate_every=5 is not supported with backend='mlx'"),
        ({"backend": "mlx", "model": toys.Ordinary, "options": {}}, "memkit.mlx has no network of that name"),
        ({"backend": "mlx", "task": toys.Squared()}, "the task defines its own loss"),
    ],
    ids=str,
)
def test_recipes_that_mlx_cannot_train_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(MemkitError, match=message):
        SLOTS.with_(**changes)


def test_a_recipe_of_mlx_is_another_recipe_and_is_read_back() -> None:
    there = SLOTS.with_(backend="mlx")
    assert "backend" not in SLOTS.to_json()
    assert there.to_json()["backend"] == "mlx"
    assert TrainingRecipe.from_json(there.to_json()) == there
    assert there.digest != SLOTS.digest
    assert {"memkit.mlx.models.slots", "memkit.mlx.trainer"} < set(there.modules)
    assert "memkit.models.slots" not in there.modules
    assert there.together
    assert there.summary.startswith("SlotNetwork in MLX on Retrieval")


def test_without_mlx_a_recipe_says_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert SLOTS.missing == ""
    assert SLOTS.with_(backend="mlx").missing.startswith("MLX is not installed; install memkit with its extra [mlx]")


@pytest.mark.parametrize(
    ("verdict", "there", "expect", "message"),
    [
        ("SUPPORTED", "SUPPORTED", "supported", "in both"),
        ("SUPPORTED", "REFUTED", "supported", "in torch alone"),
        ("INCONCLUSIVE", "SUPPORTED", "supported", "in MLX, undecided in the other"),
        ("SUPPORTED", "INCONCLUSIVE", "open", "in torch, undecided in the other"),
        ("REFUTED", "REFUTED", "refuted", "in both"),
        ("REFUTED", "SUPPORTED", "refuted", "in torch alone"),
        ("EQUIVALENT", "EQUIVALENT", "equivalent", "in both"),
        ("REFUTED", "REFUTED", "open", "in both"),
        ("EQUIVALENT", "SUPPORTED", "open", "in torch alone"),
        ("INCONCLUSIVE", "REFUTED", "open", "in MLX, undecided in the other"),
        ("INCONCLUSIVE", "INCONCLUSIVE", "open", "undecided"),
        ("REFUTED", "REFUTED", "supported", "in neither"),
        ("INCONCLUSIVE", "INCOMPLETE", "supported", "undecided"),
    ],
)
def test_the_backends_on_which_a_finding_holds_are_named(verdict: str, there: str, expect: str, message: str) -> None:
    assert where_it_holds(Verdict(verdict), Verdict(there), expect=expect, backend="mlx") == message


def test_counts_of_findings_are_put_into_words() -> None:
    assert describe_counts({"undecided": 1, "in both": 5, "in torch alone": 1}) == (
        "5 hold in both, 1 is undecided, 1 holds in torch alone"
    )
    assert describe_counts({"undecided": 2}) == "2 are undecided"
