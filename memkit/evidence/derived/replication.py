"""Replications: a claim that is measured on another backend, by the same test, with a verdict of its own.

    @replicated("mlx")
    @claim("binding/retrieval-needs-dynamic-memory", ...)
    def test_retrieval_needs_dynamic_memory(arms, held_out): ...

A finding that holds in one framework may depend on that framework. On the other backend, every arm is trained from
different initial values; the contrasts, the data of each seed and the test stay the same. Replications run with
``--sweeps``, and those with ``headline=True`` also run with the headline claims. Their verdicts can fail a run, like
those of claims.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, TypeVar

from memkit.errors import MemkitError
from memkit.evidence.arm import Arm
from memkit.evidence.claim_decorator import claim_of, refuse_bare, refuse_unknown
from memkit.evidence.derived.copies import add_claim
from memkit.evidence.origin import Replication
from memkit.evidence.verdict import Verdict

F = TypeVar("F", bound=Callable[..., Any])


def replicated(
    backend: str = "",
    /,
    *,
    expect: str | None = None,
    seeds: int | None = None,
    headline: bool = False,
    **unknown: Any,
) -> Callable[[F], F]:
    """Measure the claim below on another backend, too.

    >>> from memkit import Contrast, Recipe, claim, replicated
    >>> from memkit.evidence import claim_of
    >>> from memkit.models import LSTMNetwork, SlotNetwork
    >>> from memkit.tasks.binding import Retrieval
    >>> arms = {"slots": Recipe(Retrieval(), SlotNetwork), "lstm": Recipe(Retrieval(), LSTMNetwork)}
    >>> contrast = Contrast("slots", over="lstm", metric="accuracy", bounds=(0, 1))
    >>> @replicated("mlx", seeds=8)
    ... @claim("binding/slots", "Slots beat an LSTM.", arms=arms, contrasts=[contrast])
    ... def test_slots(arms): ...
    >>> claim_of(test_slots__replicated_mlx).id
    'binding/slots/mlx'

    Args:
        backend: "mlx"; see :class:`memkit.Recipe`.
        expect: the verdict that is expected on the other backend; None: that of the claim.
        seeds: the most seeds, as for a claim; None: as many as the claim may use.
        headline: whether the replication runs with the headline claims.

    Raises:
        MemkitError: there is no claim below, one of its arms has no recipe, or the backend does not implement a
            model.
    """
    refuse_bare(replicated, backend, '"mlx"')
    where = f"replicated({backend!r})"
    refuse_unknown(where, replicated, unknown)

    def attach(function: F) -> F:
        claim = claim_of(function)
        if claim is None:
            raise MemkitError(f"{where}: there is no claim below it; write @replicated above @claim")
        if without_recipe := [name for name, arm in claim.arms.items() if arm.recipe is None]:
            raise MemkitError(
                f"{where} of {claim.id!r}: the arm {without_recipe[0]!r} has no backend, since the test itself fits it"
            )
        arms = {name: Arm(_on_backend(arm.recipe, backend), arm.intervention) for name, arm in claim.arms.items()}
        replication = replace(
            claim,
            id=f"{claim.id}/{backend}",
            arms=arms,
            expect=expect or claim.expect,
            seeds=seeds or claim.seeds,
            headline=headline,
            origin=Replication(claim.id),
            figures=(),
        )
        add_claim(function, f"replicated {backend}", replication)
        return function

    return attach


def _on_backend(recipe: Any, backend: str) -> Any:
    """Return a recipe on another backend, with a note that it was not tuned again."""
    tuning = f"{recipe.tuning}; not tuned again in {backend_name(backend)}" if recipe.tuning else ""
    return recipe.with_(backend=backend, tuning=tuning)


def where_it_holds(original: Verdict, replication: Verdict, *, expect: str, backend: str) -> str:
    """Say on which backends a finding holds: ``in both``, ``in torch alone``, ``in neither``.

    Args:
        original, replication: the verdicts of the claim and of its replication.
        expect: the verdict that was expected of the claim. It determines what the finding is: a refutation or an
            equivalence if that was expected; for an open question, the verdict that was reached; support otherwise.
        backend: the backend of the replication.
    """
    undecided_verdicts = (Verdict.INCONCLUSIVE, Verdict.INCOMPLETE)
    finding = {"refuted": Verdict.REFUTED, "equivalent": Verdict.EQUIVALENT}.get(expect, Verdict.SUPPORTED)
    if expect == "open":
        finding = replication if original in undecided_verdicts else original
    holds_in_torch, holds_in_other = original is finding, replication is finding
    if finding in undecided_verdicts:
        return "undecided"
    if holds_in_torch and holds_in_other:
        return "in both"
    any_undecided = {original, replication} & set(undecided_verdicts)
    if not (holds_in_torch or holds_in_other):
        return "undecided" if any_undecided else "in neither"
    where = "torch" if holds_in_torch else backend_name(backend)
    return f"in {where}, undecided in the other" if any_undecided else f"in {where} alone"


def describe_counts(counts: Mapping[str, int]) -> str:
    """Say how many findings hold where: ``56 hold in both, 4 are undecided``.

    Args:
        counts: phrase that :func:`where_it_holds` returned → number of findings.
    """
    phrases = []
    for where, n in sorted(counts.items(), key=lambda item: -item[1]):
        verb = ("holds" if n == 1 else "hold") if where != "undecided" else ("is" if n == 1 else "are")
        phrases.append(f"{n} {verb} {where}")
    return ", ".join(phrases)


def backend_name(backend: str) -> str:
    """Return the name of a backend as it is written in text: ``MLX``."""
    return {"mlx": "MLX"}.get(backend, backend)
