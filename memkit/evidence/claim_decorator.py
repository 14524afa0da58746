"""The decorator ``@claim``, which states the claim that a test function measures."""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any, TypeVar

from memkit.errors import MemkitError, suggestion
from memkit.evidence.arm import Arm
from memkit.evidence.claim import LISTS, Claim
from memkit.evidence.contrast import Contrast
from memkit.source import function_digest

F = TypeVar("F", bound=Callable[..., Any])


def claim(
    id: str = "",
    statement: str = "",
    /,
    *,
    arms: Mapping[str, Any] | Iterable[str] = (),
    contrasts: Iterable[Contrast] = (),
    source: str = "",
    expect: str = "supported",
    seeds: int | None = None,
    seeds_per_look: int | None = None,
    headline: bool = False,
    derived: Iterable[str] = (),
    requires: Iterable[Contrast] = (),
    positive_control: Contrast | None = None,
    gate: bool | None = None,
    divergence: str = "withholds",
    figures: Iterable[Callable[..., Any]] = (),
    deterministic: bool = False,
    data: Iterable[str] = (),
    environment: Iterable[str] = (),
    **unknown: Any,
) -> Callable[[F], F]:
    """Make a test function the measurement of a claim.

    The function runs once per seed, with the fixtures that it asks for: ``seed``; ``arms`` (name → trained model, after
    its intervention); ``trained`` (name → trained run, with its history); and any of the project's own. It returns one
    number for each arm and each name in ``derived``, ``{name: value}``, or, with several metrics,
    ``{name: {metric: value}}``.

    >>> import numpy as np
    >>> from memkit import Contrast, claim
    >>> contrast = Contrast("mean", over="median", metric="squared error", bounds=(0, 9), direction="lower")
    >>> @claim("location/mean", "The mean beats the median.", arms=("mean", "median"), contrasts=[contrast])
    ... def test_mean(seed):
    ...     x = np.random.default_rng(seed).normal(size=99)
    ...     return {"mean": np.mean(x) ** 2, "median": np.median(x) ** 2}

    Args:
        id: ``study/name``.
        statement: the sentence that is tested.
        arms: name → recipe, or name → :class:`Arm`; or only the names, if the test fits its models itself.
        contrasts: what is compared; see :class:`Contrast`.
        derived: the names of quantities that the test returns besides its arms.
        requires: preconditions; if one is not met, the claim is INCOMPLETE.
        gate: whether the verdict can fail the run; by default it can, unless ``expect`` is "open".

    The other options are described in :class:`Claim`.

    Raises:
        MemkitError: an option is unknown or not valid; the message names it and what would be right.
    """
    # Under a bare ``@claim``, the test function arrives as ``id``.
    refuse_bare(claim, id, '"study/name", "The statement.", arms=..., contrasts=[...]')
    refuse_unknown(f"claim {id!r}", claim, unknown)
    new_claim = make_claim(
        id,
        statement,
        arms,
        contrasts=contrasts,
        source=source,
        expect=expect,
        seeds=seeds,
        seeds_per_look=seeds_per_look,
        headline=headline,
        derived=derived,
        requires=requires,
        positive_control=positive_control,
        gate=gate,
        divergence=divergence,
        figures=figures,
        deterministic=deterministic,
        data=data,
        environment=environment,
    )

    def attach(function: F) -> F:
        if (other := claim_of(function)) is not None:
            raise MemkitError(
                f"claim {id!r}: {function.__name__}() already measures claim {other.id!r}; write another function"
            )
        set_claim(function, new_claim)
        return function

    return attach


def make_claim(id: str, statement: str, arms: Any, **options: Any) -> Claim:
    """Return the claim for a decorator's arguments.

    Unlike in :class:`Claim`, an arm may be given as a recipe, the arms as a list of names, and a field that is a tuple
    as any iterable except a string.

    Raises:
        MemkitError: an argument is not valid.
    """
    for option, value in {"arms": arms, **options}.items():
        is_list = option in ("arms", *LISTS)
        if is_list and (isinstance(value, (str, Contrast)) or not isinstance(value, Iterable)):
            right = (
                "a dict of name → recipe, or a list of names"
                if option == "arms"
                else "a list, even if it holds one item"
            )
            raise MemkitError(f"claim {id!r}: {option}={value!r} must be {right}")
    for option in LISTS:
        options[option] = tuple(options.get(option, ()))
    pairs = arms.items() if isinstance(arms, Mapping) else ((name, None) for name in arms)
    named_arms = {name: _arm(f"claim {id!r}, arm {name!r}", value) for name, value in pairs}
    return Claim(id=id, statement=statement, arms=named_arms, **options)


def _arm(where: str, value: Any) -> Arm:
    try:
        return value if isinstance(value, Arm) else Arm(value)
    except MemkitError as error:
        raise MemkitError(f"{where}: {str(error).removeprefix('Arm: ')}") from None


def refuse_unknown(where: str, decorator: Callable[..., Any], unknown: Mapping[str, Any]) -> None:
    """Refuse options that a decorator does not have.

    Raises:
        MemkitError: ``unknown`` is not empty; the message names the nearest option that exists.
    """
    if unknown:
        options = [name for name, p in inspect.signature(decorator).parameters.items() if p.kind is p.KEYWORD_ONLY]
        name = next(iter(unknown))
        raise MemkitError(f"{where}: unknown option {name!r}{suggestion(name, options)}")


def refuse_bare(decorator: Callable[..., Any], given: Any, arguments: str) -> None:
    """Refuse a decorator that was written above a function without being called.

    Raises:
        MemkitError: ``given`` is a function; the message shows the arguments that the decorator needs.
    """
    if inspect.isfunction(given):
        name = decorator.__name__
        raise MemkitError(f"@{name} stands above {given.__name__}() without arguments; write @{name}({arguments})")


def set_claim(function: Callable[..., Any], new_claim: Claim, more: Iterable[str] = ()) -> None:
    """Make a function the measurement of a claim.

    Args:
        new_claim: the claim, whose ``test`` is set to the digest of the function.
        more: strings that count for this digest as well, such as the score of a staged study.

    Raises:
        MemkitError: the function is a coroutine.
    """
    if inspect.iscoroutinefunction(function):
        raise MemkitError(f"claim {new_claim.id!r}: {function.__name__}() is async; write an ordinary function")
    test = function_digest(function)
    if dependencies := list(more):
        test = hashlib.sha256("\0".join([test, *dependencies]).encode()).hexdigest()[:16]
    function.__memkit_claim__ = replace(new_claim, test=test)  # type: ignore[attr-defined]


def claim_of(function: Any) -> Claim | None:
    """Return the claim that a test function measures; None if it measures none.

    >>> from memkit import Contrast, claim
    >>> from memkit.evidence import claim_of
    >>> contrast = Contrast("mean", over="median", metric="squared error", bounds=(0, 9), direction="lower")
    >>> @claim("location/mean", "The mean beats the median.", arms=("mean", "median"), contrasts=[contrast])
    ... def test_mean(seed): ...
    >>> claim_of(test_mean).id
    'location/mean'
    """
    return getattr(function, "__memkit_claim__", None)
