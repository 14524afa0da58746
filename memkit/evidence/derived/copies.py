"""Copies of a test function that measure derived claims: cells, mutants, replications and claims of staged studies."""

from __future__ import annotations

import re
from types import FunctionType
from typing import Any

from memkit.errors import MemkitError
from memkit.evidence.claim import Claim
from memkit.evidence.claim_decorator import set_claim


def add_claim(function: Any, suffix: str, claim: Claim, *, more: tuple[str, ...] = (), counted: Any = None) -> None:
    """Add a copy of a test function to its module, as the measurement of another claim.

    pytest collects the tests that a module has by name, so the copy is added to the module under a name of its own.

    Args:
        function: the test function.
        suffix: the end of the copy's name.
        claim: the claim that the copy measures.
        more: strings that describe what the measurement depends on besides the function; part of the claim's digest.
        counted: the scoring that :func:`scoring_of` returns for the copy.

    Raises:
        MemkitError: the function is a method (its class does not exist yet, so a copy cannot be added to it); it was
            wrapped by another decorator, and so belongs to another module; or the name of the copy is taken.
    """
    where = f"claim {claim.id!r}"
    if not isinstance(function, FunctionType) or function.__qualname__ != function.__name__:
        raise MemkitError(f"{where}: the test must be a function of a module, not a method")
    if function.__globals__.get("__name__") != function.__module__:
        raise MemkitError(
            f"{where}: another decorator stands between the claim and its test function; remove that decorator"
        )
    name = f"{function.__name__}__{re.sub('[^0-9a-zA-Z]', '_', suffix)}"
    if name in function.__globals__:
        raise MemkitError(
            f"{where}: its test would be called {name}(), but the module has a function of that name already; rename "
            "one of them"
        )
    copy = FunctionType(function.__code__, function.__globals__, name, function.__defaults__, function.__closure__)
    copy.__kwdefaults__, copy.__annotations__ = function.__kwdefaults__, function.__annotations__
    copy.__doc__, copy.__module__ = function.__doc__, function.__module__
    copy.__dict__.update({key: value for key, value in vars(function).items() if not key.startswith("__memkit")})
    copy.__memkit_derived__ = function  # type: ignore[attr-defined]
    set_claim(copy, claim, more)
    if counted is not None:
        copy.__memkit_scoring__ = counted  # type: ignore[attr-defined]
    function.__globals__[name] = copy


def scoring_of(function: Any) -> Any:
    """Return the :class:`memkit.training.scoring.Scoring` of a staged study's claim; None for other tests."""
    return getattr(function, "__memkit_scoring__", None)


def copy_marks(function: Any) -> None:
    """Give a copy the pytest marks that were added to its source after the copy was made."""
    source = getattr(function, "__memkit_derived__", None)
    if source is not None and hasattr(source, "pytestmark"):
        function.pytestmark = list(source.pytestmark)
