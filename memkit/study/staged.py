"""Stage B of a staged study: a claim for each promoted configuration of a matrix.

The id of a claim is ``<study>/<configuration>``, and its contrasts are the configuration over each of its controls.
These claims are registered, trained, measured and judged like all others. There are none until stage A has promoted
configurations.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from memkit.errors import MemkitError
from memkit.evidence.arm import Arm
from memkit.evidence.claim import Claim
from memkit.evidence.claim_decorator import make_claim, refuse_bare
from memkit.evidence.derived.copies import add_claim
from memkit.evidence.origin import SweepCell
from memkit.source import function_digest

if TYPE_CHECKING:
    from memkit.study.matrix import Matrix

F = TypeVar("F", bound=Callable[..., Any])


def staged(matrix: str = "", /) -> Callable[[F], F]:
    """Return a decorator for a test that measures the promoted configurations of a matrix.

    The test takes the fixture ``scores``, arm → {metric: value}, which the matrix's score gives on the test examples of
    the seed, and returns it. ``memkit study`` writes the promoted configurations to ``<matrix>.promoted.json`` beside
    the matrix. Without that file the test has no claims.

    In a test file beside the matrix (which does not exist where this example runs):

    >>> from memkit import staged
    >>> @staged("xor.yaml")
    ... def test_xor(scores):
    ...     return scores
    Traceback (most recent call last):
    memkit.errors.MemkitError: staged: there is no matrix xor.yaml; give its path relative to the file of the test

    Args:
        matrix: the path of the matrix, relative to the file of the test.

    Raises:
        MemkitError: the matrix is missing or invalid, or has changed since it was screened.
    """
    refuse_bare(staged, matrix, '"matrix.yaml"')
    if not isinstance(matrix, str) or not matrix:
        raise MemkitError(f'staged: {matrix!r} must be the path of a matrix, as in @staged("matrix.yaml")')

    def attach(function: F) -> F:
        path = Path(inspect.getfile(function)).parent / matrix
        function.__memkit_sweep__ = matrix  # type: ignore[attr-defined]
        for claim, scoring, more in staged_claims(path):
            add_claim(function, claim.id.rsplit("/", 1)[1], claim, more=more, counted=scoring)
        return function

    return attach


def staged_claims(path: Path) -> list[tuple[Claim, Any, tuple[str, ...]]]:
    """Return the claims of the promoted configurations of a matrix.

    Returns:
        For each configuration, the claim, the :class:`memkit.training.scoring.Scoring` of its test, and further texts
        that the claim's digest covers.

    Raises:
        MemkitError: as :func:`staged`.
    """
    from memkit.study.promotion import load_promotion

    promoted_path = path.with_name(f"{path.stem}.promoted.json")
    if not path.is_file():
        raise MemkitError(f"staged: there is no matrix {path}; give its path relative to the file of the test")
    promotion = load_promotion(promoted_path)
    if promotion is None:
        return []
    from memkit.recipes.references import first_names, resolve
    from memkit.study.loading import DEFAULT_SCORE, load_matrix
    from memkit.training.scoring import Scoring

    matrix = load_matrix(path)
    if promotion.matrix != matrix.digest:
        raise MemkitError(
            f"{path.name} was changed since it was screened, and {promoted_path.name} belongs to its earlier form; run "
            f"`memkit study {path.name}` again"
        )
    if unknown := [name for name in promotion.promoted if name not in matrix.configurations]:
        raise MemkitError(
            f"{promoted_path.name} promotes {unknown[0]!r}, which is not a configuration of {path.name}; restore the "
            "file from version control"
        )
    scoring = Scoring(score=matrix.score, metric=matrix.confirm.metric, examples=matrix.examples)
    # Registration fixes a custom score as it fixes the body of a test: an edit of it moves the claims to fresh seeds.
    score_digest = () if matrix.score is resolve(DEFAULT_SCORE) else (function_digest(matrix.score),)
    claims: list[tuple[Claim, Any, tuple[str, ...]]] = []
    for name in promotion.promoted:
        claim = claim_of_configuration(matrix, name, cells=len(promotion.promoted))
        # The claim's JSON contains only the name of an intervention, not the arguments of its factory.
        after = first_names({arm: _settings(matrix, arm, name).get("after") for arm in claim.arms})
        more = (matrix.score_reference, str(matrix.examples), json.dumps(after, sort_keys=True), *score_digest)
        claims.append((claim, scoring, more))
    return claims


def claim_of_configuration(matrix: Matrix, name: str, *, cells: int) -> Claim:
    """Return the claim of a promoted configuration.

    Args:
        cells: the number of promoted configurations.
    """
    configuration, confirm = matrix.configurations[name], matrix.confirm
    arms: dict[str, Arm] = {name: configuration.arm}
    arms |= {control: matrix.control(control, name).arm for control in configuration.controls}
    claim = make_claim(
        f"{matrix.study}/{name}",
        statement(matrix, name),
        arms,
        contrasts=[confirm.contrast(name, over=control) for control in configuration.controls],
        source=matrix.source,
        expect=confirm.expect,
        seeds=confirm.seeds,
        # The verdict on an open question cannot fail a run; with any other expectation it can, even by normal theory.
        gate=None if confirm.expect == "open" else True,
    )
    if confirm.expect != "open":
        return claim
    return replace(claim, origin=SweepCell(matrix.study, {"configuration": name}, cells))


def statement(matrix: Matrix, name: str) -> str:
    """Return the statement of a claim: ``«wide» is higher in accuracy than «linear» and «half».``"""
    from memkit.study.promotion import join_names

    confirm = matrix.confirm
    direction = "higher" if confirm.higher else "lower"
    by = f", by more than {confirm.margin:g}," if confirm.margin else ""
    over = join_names(f"«{control}»" for control in matrix.configurations[name].controls)
    return f"«{name}» is {direction} in {confirm.metric}{by} than {over}."


def _settings(matrix: Matrix, arm: str, name: str) -> Any:
    """Return the settings of an arm in the claim of the configuration ``name``."""
    return matrix.configurations[name].settings if arm == name else matrix.control(arm, name).settings
