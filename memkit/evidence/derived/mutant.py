"""Mutants: claims with an arm that is broken on purpose, and which therefore have to fail.

    @mutant("memory zeroed", arm="dynamic", by=zeroed)
    @claim("study/name", ..., arms={"dynamic": ..., "static": ...})
    def test_it(arms, commands): ...

measures the claim a second time, with the same test on the same seeds and models, except that ``by`` changes the model
of one arm. (If the claim or the mutant is edited later, it moves to fresh seeds without the other.) If the mutant is
supported even so, the claim does not depend on that arm.

The mutant also measures the unchanged arm, as ``dynamic, intact``. This arm must beat the broken one in every metric in
which the claim compares it; otherwise the break changed nothing, and the mutant is INCOMPLETE. A mutant that is merely
undecided does not pass, either (:func:`memkit.evidence.gate.mutant_failed`).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any, TypeVar

from memkit.aliases import aliases_of_module
from memkit.errors import MemkitError, suggestion
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
    sesoi: float | None = None,
    seeds: int | None = None,
    **unknown: Any,
) -> Callable[[F], F]:
    """Derive a claim with a broken arm from the claim below, and expect it not to be supported.

    >>> from memkit import Contrast, Recipe, claim, mutant
    >>> from memkit.evidence import claim_of
    >>> from memkit.models import IntervenedNetwork
    >>> from memkit.tasks.images import Classification
    >>> def emptied(model):
    ...     model.memory.clear()
    ...     return model
    >>> contrast = Contrast("memory", over=0.1, metric="accuracy", bounds=(0, 1))
    >>> arms = {"memory": Recipe(Classification(), IntervenedNetwork)}
    >>> @mutant("memory emptied", arm="memory", by=emptied)
    ... @claim("digits/memory", "Beats chance.", arms=arms, contrasts=[contrast])
    ... def test_memory(arms): ...
    >>> claim_of(test_memory__mutant_memory_emptied).expect
    'not_supported'

    Args:
        name: what is broken, in a few words: "memory zeroed".
        arm: the arm that is broken; it needs a recipe.
        by: an intervention, like that of an :class:`memkit.Arm`; it is applied after the arm's own.
        sesoi: the smallest effect that would still count as holding: the mutant has failed as soon as one of its
            contrasts is shown to lie below its margin plus this. A good choice is half of the effect of the intact
            claim. None: the contrasts' own, which often takes more seeds than the claim itself.
        seeds: the most seeds, as for a claim; None: as many as the claim may use.

    Raises:
        MemkitError: there is no claim below, it has no such arm, or no contrast compares that arm.
    """
    refuse_bare(mutant, name, '"what is broken", arm="name", by=function')
    where = f"mutant {name!r}"
    refuse_unknown(where, mutant, unknown)
    if not isinstance(name, str) or not re.search("[a-z0-9]", name.lower()):
        raise MemkitError(f"{where}: the name must say what is broken in a few words")
    if by is None or not callable(by) or not hasattr(by, "__qualname__"):
        raise MemkitError(f"{where}: by={by!r} must be a named function of the trained model")
    intervention = by

    def attach(function: F) -> F:
        claim = claim_of(function)
        if claim is None:
            raise MemkitError(f"{where}: there is no claim below it; write @mutant above @claim")
        broken = _make_mutant(claim, name, arm, intervention, f"{where} of {claim.id!r}")
        if sesoi is not None:
            try:
                contrasts = tuple(replace(contrast, sesoi=sesoi) for contrast in broken.contrasts)
            except MemkitError as error:
                raise MemkitError(f"{where}: {error}") from None
            broken = replace(broken, contrasts=contrasts)
        add_claim(function, f"mutant {name}", replace(broken, seeds=seeds or claim.seeds))
        return function

    return attach


def _make_mutant(claim: Claim, name: str, arm: str, by: Callable[..., Any], where: str) -> Claim:
    """Return the mutant of a claim."""
    if arm not in claim.arms:
        raise MemkitError(f"{where}: the claim has no arm {arm!r}{suggestion(arm, claim.arms)}")
    if claim.expect != "supported":
        raise MemkitError(f"{where}: the claim must be expected to be supported, not {claim.expect.replace('_', ' ')}")
    old = claim.arms[arm]
    if old.recipe is None:
        raise MemkitError(f"{where}: the arm {arm!r} has no model to break, since the test itself fits it")
    intact = INTACT.format(arm)
    arms = {**claim.arms, arm: Arm(old.recipe, _composed(old.intervention, by)), intact: old}
    effects_of_break = [
        _effect_of_break(contrast, arm, intact) for contrast in claim.contrasts if arm in contrast.names
    ]
    if not effects_of_break:
        raise MemkitError(f"{where}: no contrast compares the arm {arm!r}; break an arm that a contrast compares")
    return replace(
        claim,
        id=f"{claim.id}/mutant-{re.sub('[^a-z0-9]+', '-', name.lower()).strip('-')}",
        statement=f"Broken on purpose, {arm} with its {name}: {claim.statement}",
        arms=arms,
        source=f"mutant of {claim.id}: false, if the claim stands for the reason that it gives",
        expect="not_supported",
        # The claim's preconditions are about the intact arm; the broken one may violate them.
        requires=(*(_renamed(contrast, arm, intact) for contrast in claim.requires), *dict.fromkeys(effects_of_break)),
        gate=True,
        origin=Mutant(claim.id),
        figures=(),
    )


def _effect_of_break(contrast: Contrast, arm: str, intact: str) -> Contrast:
    """Return the contrast that shows that the break matters: it must make a treatment worse, or a control better."""
    treatment, control = (intact, arm) if contrast.treatment == arm else (arm, intact)
    return replace(contrast, treatment=treatment, over=control, margin=0.0, sesoi=None)


def _renamed(contrast: Contrast, arm: str, intact: str) -> Contrast:
    """Return a contrast with the name of an arm replaced by ``intact``."""
    treatment = intact if contrast.treatment == arm else contrast.treatment
    return replace(contrast, treatment=treatment, over=intact if contrast.over == arm else contrast.over)


def _composed(first: Any, then: Callable[..., Any]) -> Callable[..., Any]:
    """Return an intervention that applies ``first``, if it is an intervention, and then ``then``."""
    if not callable(first):
        return then

    def both(model: Any, seed: int) -> Any:
        return intervene(then, intervene(first, model, seed), seed)

    both.__module__, both.__qualname__ = then.__module__, f"{_first_name(first)}, then {_first_name(then)}"
    return both


def _first_name(function: Callable[..., Any]) -> str:
    """Return a function's name before any renaming: the digest of the claim covers the name of its intervention."""
    module = function.__module__
    return aliases_of_module(module).first(f"{module}:{function.__qualname__}").partition(":")[2]
