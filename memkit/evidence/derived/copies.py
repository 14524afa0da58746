"""Copies of a test function, which measure other claims: cells of a sweep, a multiverse or a study, and mutants."""

from __future__ import annotations

import re
from types import FunctionType
from typing import Any

from memkit.errors import MemkitError
from memkit.evidence.claim import Claim
from memkit.evidence.claim_decorator import set_claim


def add_claim(function: Any, suffix: str, made: Claim, *, more: tuple[str, ...] = (), counted: Any = None) -> None:
    """Put a copy of a test function beside it, as the measurement of another claim.

    pytest collects what a module holds, and looks it up there again by its name, so the copy goes into the module.

    Args:
        suffix: of the copy's name.
        more: what the measurement depends on beside the function, in words; part of the claim's digest.
        counted: what :func:`scoring_of` says of the copy.

    Raises:
        MemkitError: it is a method, which would have to go into its class, and that is not there yet; it is wrapped by
            another decorator, and so belongs to another module; or the name is taken.
    """
    where = f"claim {made.id!r}"
    if not isinstance(function, FunctionType) or function.__qualname__ != function.__name__:
        raise MemkitError(f"{where}: write a function of a module, not a method")
    if function.__globals__.get("__name__") != function.__module__:
        raise MemkitError(
            f"{where}: another decorator stands between it and its test; a sweep's or mutant's test has none"
        )
    name = f"{function.__name__}__{re.sub('[^0-9a-zA-Z]', '_', suffix)}"
    if name in function.__globals__:
        raise MemkitError(
            f"{where}: its test would be called {name}(), and there is such a function; rename one of them"
        )
    copy = FunctionType(function.__code__, function.__globals__, name, function.__defaults__, function.__closure__)
    copy.__kwdefaults__, copy.__annotations__ = function.__kwdefaults__, function.__annotations__
    copy.__doc__, copy.__module__ = function.__doc__, function.__module__
    copy.__dict__.update({key: value for key, value in vars(function).items() if not key.startswith("__memkit")})
    copy.__memkit_derived__ = function  # type: ignore[attr-defined]
    set_claim(copy, made, more)
    if counted is not None:
        copy.__memkit_scoring__ = counted  # type: ignore[attr-defined]
    function.__globals__[name] = copy


def scoring_of(function: Any) -> Any:
    """Return how a staged study's claim scores its models, a :class:`memkit.training.scoring.Scoring`, or None."""
    return getattr(function, "__memkit_scoring__", None)


def marked_as_its_source(function: Any) -> None:
    """Give a copy the marks that were put on its source after it was made."""
    source = getattr(function, "__memkit_derived__", None)
    if source is not None and hasattr(source, "pytestmark"):
        function.pytestmark = list(source.pytestmark)
