"""The decorator ``@claim``: a test function measures a claim, and says which one."""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any, TypeVar

from memkit.errors import MemkitError, nearest
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
    headline: bool = False,
    derived: Iterable[str] = (),
    requires: Iterable[Contrast] = (),
    positive_control: Contrast | None = None,
    gate: bool | None = None,
    figures: Iterable[Callable[..., Any]] = (),
    deterministic: bool = False,
    data: Iterable[str] = (),
    environment: Iterable[str] = (),
    **unknown: Any,
) -> Callable[[F], F]:
    """Make a test function the measurement of a claim.

    The function runs once per seed, with the fixtures it asks for (``seed``, ``arms``, ``trained``, and any of
    the project's own), and returns one number per arm, ``{name: value}``, or, with several metrics,
    ``{name: {metric: value}}``.

    Args:
        id: ``study/name``.
        statement: the sentence that is tested.
        arms: name → recipe, or name → :class:`Arm`; or only names, where the test fits its models itself.
        contrasts: see :class:`Contrast`.

    The other options are described at :class:`Claim`.

    Raises:
        MemkitError: a sentence that names the field and what would be right.
    """
    refuse_bare(claim, id, '"study/name", "The statement.", arms=..., contrasts=[...]')
    refuse_unknown(f"claim {id!r}", claim, unknown)
    made = make_claim(
        id,
        statement,
        arms,
        contrasts=contrasts,
        source=source,
        expect=expect,
        seeds=seeds,
        headline=headline,
        derived=derived,
        requires=requires,
        positive_control=positive_control,
        gate=gate,
        figures=figures,
        deterministic=deterministic,
        data=data,
        environment=environment,
    )

    def attach(function: F) -> F:
        if (other := claim_of(function)) is not None:
            raise MemkitError(f"claim {id!r}: the function measures claim {other.id!r} already; write one of its own")
        set_claim(function, made)
        return function

    return attach


def make_claim(id: str, statement: str, arms: Any, **options: Any) -> Claim:
    """Return a claim of what a decorator was given: recipes for arms, lists for tuples."""
    for option, value in {"arms": arms, **options}.items():
        listed = option in ("arms", *LISTS)
        if listed and (isinstance(value, (str, Contrast)) or not isinstance(value, Iterable)):
            raise MemkitError(f"claim {id!r}: {option}={value!r} must be a list, also of one")
    for option in LISTS:
        options[option] = tuple(options.get(option, ()))
    pairs = arms.items() if isinstance(arms, Mapping) else ((name, None) for name in arms)
    own = {name: _arm(f"claim {id!r}, arm {name!r}", value) for name, value in pairs}
    return Claim(id=id, statement=statement, arms=own, **options)


def _arm(where: str, value: Any) -> Arm:
    try:
        return value if isinstance(value, Arm) else Arm(value)
    except MemkitError as error:
        raise MemkitError(f"{where}: {str(error).removeprefix('Arm: ')}") from None


def refuse_unknown(where: str, decorator: Callable[..., Any], unknown: Mapping[str, Any]) -> None:
    """Name the nearest option of a decorator where one was misspelt."""
    if unknown:
        options = [name for name, p in inspect.signature(decorator).parameters.items() if p.kind is p.KEYWORD_ONLY]
        name = next(iter(unknown))
        raise MemkitError(f"{where}: unknown option {name!r}{nearest(name, options)}")


def refuse_bare(decorator: Callable[..., Any], given: Any, arguments: str) -> None:
    """Say what a decorator is called with, where it stands above a function without being called."""
    if inspect.isfunction(given):
        name = decorator.__name__
        raise MemkitError(f"@{name} stands above {given.__name__}() without arguments; write @{name}({arguments})")


def set_claim(function: Callable[..., Any], made: Claim, more: Iterable[str] = ()) -> None:
    """Make a function the measurement of a claim; ``more`` is what it depends on beside its source, in words."""
    if inspect.iscoroutinefunction(function):
        raise MemkitError(f"claim {made.id!r}: {function.__name__}() is async; write an ordinary function")
    test = function_digest(function)
    if parts := list(more):
        test = hashlib.sha256("\0".join([test, *parts]).encode()).hexdigest()[:16]
    function.__memkit_claim__ = replace(made, test=test)  # type: ignore[attr-defined]


def claim_of(function: Any) -> Claim | None:
    """Return the claim that :func:`claim` attached to a test function, if it did."""
    return getattr(function, "__memkit_claim__", None)
