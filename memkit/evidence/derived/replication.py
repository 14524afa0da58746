"""Replications: a claim on another backend, measured by its own test, with a verdict of its own.

    @replicated("mlx")
    @claim("binding/retrieval-needs-dynamic-memory", ...)
    def test_retrieval_needs_dynamic_memory(arms, held_out): ...

A finding that holds in one framework may be a finding about that framework. Every arm is trained there from initial
values of its own; the contrasts, the seeds' data and the test stay as they are. Replications run with ``--sweeps``, and
those of headline claims that say so with the headline claims; they gate, as claims do.
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
    """Ask the claim below on another backend, too.

    Args:
        backend: "mlx"; see :class:`memkit.Recipe`.
        expect: the verdict that is registered there; None: that of the claim.
        seeds: the most seeds, 8, 16 or 32; None: as many as the claim may use.
        headline: whether it runs with the headline claims.

    Raises:
        MemkitError: there is no claim below, one of its arms has no recipe, or the backend does not know its model.
    """
    refuse_bare(replicated, backend, '"mlx"')
    where = f"replicated({backend!r})"
    refuse_unknown(where, replicated, unknown)

    def attach(function: F) -> F:
        claim = claim_of(function)
        if claim is None:
            raise MemkitError(f"{where}: there is no claim below it; write @replicated above @claim")
        if fitted := [name for name, arm in claim.arms.items() if arm.recipe is None]:
            raise MemkitError(
                f"{where} of {claim.id!r}: the test itself fits the arm {fitted[0]!r}, whatever the backend"
            )
        arms = {name: Arm(_on(arm.recipe, backend), arm.intervention) for name, arm in claim.arms.items()}
        made = replace(
            claim,
            id=f"{claim.id}/{backend}",
            arms=arms,
            expect=expect or claim.expect,
            seeds=seeds or claim.seeds,
            headline=headline,
            origin=Replication(claim.id),
            figures=(),
        )
        add_claim(function, f"replicated {backend}", made)
        return function

    return attach


def _on(recipe: Any, backend: str) -> Any:
    """Return a recipe on another backend, with a note that it was tuned on the first."""
    tuning = f"{recipe.tuning}; not tuned again in {in_words(backend)}" if recipe.tuning else ""
    return recipe.with_(backend=backend, tuning=tuning)


def holds(verdict: Verdict, there: Verdict, *, expect: str, backend: str) -> str:
    """Say where a finding holds: ``in both``, ``in torch alone``, ``in neither``.

    Args:
        verdict, there: the verdicts of the claim and of its replication.
        expect: the verdict that was registered for the claim. The finding is a refutation or an equivalence where that
            was expected, whatever was found where the claim is an open question, and support otherwise.
        backend: the backend of the replication.
    """
    open_ones = (Verdict.INCONCLUSIVE, Verdict.INCOMPLETE)
    wanted = {"refuted": Verdict.REFUTED, "equivalent": Verdict.EQUIVALENT}.get(expect, Verdict.SUPPORTED)
    if expect == "open":
        wanted = there if verdict in open_ones else verdict
    found, again = verdict is wanted, there is wanted
    if wanted in open_ones:
        return "undecided"
    if found and again:
        return "in both"
    undecided = {verdict, there} & set(open_ones)
    if not (found or again):
        return "undecided" if undecided else "in neither"
    where = "torch" if found else in_words(backend)
    return f"in {where}, undecided in the other" if undecided else f"in {where} alone"


def counted(counts: Mapping[str, int]) -> str:
    """Say how many findings hold where, as :func:`holds` puts it: ``56 hold in both, 4 are undecided``."""
    said = []
    for where, n in sorted(counts.items(), key=lambda item: -item[1]):
        verb = ("holds" if n == 1 else "hold") if where != "undecided" else ("is" if n == 1 else "are")
        said.append(f"{n} {verb} {where}")
    return ", ".join(said)


def in_words(backend: str) -> str:
    """Return a backend's name as it is written: ``MLX``."""
    return {"mlx": "MLX"}.get(backend, backend)
