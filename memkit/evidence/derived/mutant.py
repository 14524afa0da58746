"""Mutants: a claim's arm broken on purpose, so that the claim has to fall, and fall for that reason.

    @mutant("memory zeroed", arm="dynamic", by=zeroed)
    @claim("study/name", ..., arms={"dynamic": ..., "static": ...})
    def test_it(arms, commands): ...

measures the claim once more, with the same test on the same seeds and models, but for what ``by`` does to one arm. (A
claim or a mutant that is edited later moves to fresh seeds without the other.) A claim that is supported all the same
would have been supported whatever that arm does. The arm as it was goes along, as ``dynamic, intact``, and must beat
the broken one in every metric that the claim compares it by: a claim that falls though the break changed nothing, or
by a crash, shows nothing, and is INCOMPLETE; one that is merely undecided has not fallen
(:func:`memkit.evidence.gate.fell`).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any, TypeVar

from memkit.errors import MemkitError, nearest
from memkit.evidence.arm import Arm, intervene
from memkit.evidence.claim import Claim
from memkit.evidence.claim_decorator import claim_of, refuse_bare, refuse_unknown
from memkit.evidence.contrast import Contrast
from memkit.evidence.derived.copies import add_claim
from memkit.evidence.origin import Mutant

INTACT = "{}, intact"

F = TypeVar("F", bound=Callable[..., Any])


def mutant(
    name: str = "",
    /,
    *,
    arm: str = "",
    by: Callable[..., Any] | None = None,
    seeds: int | None = None,
    **unknown: Any,
) -> Callable[[F], F]:
    """Break an arm of the claim below, and expect it not to be supported.

    Args:
        name: what is broken, in a few words: "memory zeroed".
        arm: the arm that is broken; it needs a recipe.
        by: an intervention, as that of an :class:`memkit.Arm`; applied after the arm's own.
        seeds: the most seeds, 8, 16 or 32; None: as many as the claim may use.

    Raises:
        MemkitError: there is no claim below, it has no such arm, or that arm is not compared.
    """
    refuse_bare(mutant, name, '"what is broken", arm="name", by=function')
    where = f"mutant {name!r}"
    refuse_unknown(where, mutant, unknown)
    if not isinstance(name, str) or not re.search("[a-z0-9]", name.lower()):
        raise MemkitError(f"{where}: give it a name, what is broken in a few words")
    if by is None or not callable(by) or not hasattr(by, "__qualname__"):
        raise MemkitError(f"{where}: by={by!r} must be a named function of the trained model")
    breaks = by

    def attach(function: F) -> F:
        claim = claim_of(function)
        if claim is None:
            raise MemkitError(f"{where}: there is no claim below it; write @mutant above @claim")
        made = _broken(claim, name, arm, breaks, f"{where} of {claim.id!r}")
        add_claim(function, f"mutant {name}", replace(made, seeds=seeds or claim.seeds))
        return function

    return attach


def _broken(claim: Claim, name: str, arm: str, by: Callable[..., Any], where: str) -> Claim:
    if arm not in claim.arms:
        raise MemkitError(f"{where}: the claim has no arm {arm!r}{nearest(arm, claim.arms)}")
    if claim.expect != "supported":
        raise MemkitError(
            f"{where}: the claim is expected {claim.expect.replace('_', ' ')}; mutants are of claims that stand"
        )
    old = claim.arms[arm]
    if old.recipe is None:
        raise MemkitError(f"{where}: the test itself fits the arm {arm!r}, so nothing can be done to it beforehand")
    intact = INTACT.format(arm)
    arms = {**claim.arms, arm: Arm(old.recipe, _both(old.intervention, by)), intact: old}
    changed = [_change(contrast, arm, intact) for contrast in claim.contrasts if arm in contrast.names]
    if not changed:
        raise MemkitError(f"{where}: no contrast compares the arm {arm!r}; break one that the claim stands on")
    return replace(
        claim,
        id=f"{claim.id}/mutant-{re.sub('[^a-z0-9]+', '-', name.lower()).strip('-')}",
        statement=f"Broken on purpose, {arm} with its {name}: {claim.statement}",
        arms=arms,
        source=f"mutant of {claim.id}: false, if the claim stands for the reason that it gives",
        expect="not_supported",
        # The claim's preconditions hold for the intact arm; breaking it may well violate them.
        requires=(*(_renamed(contrast, arm, intact) for contrast in claim.requires), *dict.fromkeys(changed)),
        gate=True,
        origin=Mutant(claim.id),
        figures=(),
    )


def _change(contrast: Contrast, arm: str, intact: str) -> Contrast:
    """Return the contrast that shows the break to matter: it makes a treatment worse, and a control better."""
    pair = (intact, arm) if contrast.treatment == arm else (arm, intact)
    return replace(contrast, treatment=pair[0], over=pair[1], margin=0.0, sesoi=None)


def _renamed(contrast: Contrast, arm: str, intact: str) -> Contrast:
    treatment = intact if contrast.treatment == arm else contrast.treatment
    return replace(contrast, treatment=treatment, over=intact if contrast.over == arm else contrast.over)


def _both(first: Any, then: Callable[..., Any]) -> Callable[..., Any]:
    if not callable(first):
        return then

    def both(model: Any, seed: int) -> Any:
        return intervene(then, intervene(first, model, seed), seed)

    both.__module__, both.__qualname__ = then.__module__, f"{first.__qualname__}, then {then.__qualname__}"
    return both
