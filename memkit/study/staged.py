"""Stage B: a claim for each promoted configuration of a matrix.

    @staged("xor.yaml")
    def test_xor(scores):
        return scores

makes the claims ``<study>/<configuration>``: the configuration over each of its controls. Each is registered, trained,
measured and judged as any claim is. As long as nothing was promoted there is none.
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
    """Make a test function the measurement of the promoted configurations of a matrix.

    The function takes the fixture ``scores``, arm → {metric: value} by the matrix's score on the test examples of the
    seed, and returns it. Which configurations were promoted stands in ``<matrix>.promoted.json``, which
    ``memkit study`` writes beside the matrix; without that file there is nothing to measure.

    Args:
        matrix: the file, relative to that of the test.

    Raises:
        MemkitError: the matrix is in error, or was changed since it was screened.
    """
    refuse_bare(staged, matrix, '"matrix.yaml"')
    if not isinstance(matrix, str) or not matrix:
        raise MemkitError(f'staged: {matrix!r} must be the path of a matrix, as in @staged("matrix.yaml")')

    def attach(function: F) -> F:
        path = Path(inspect.getfile(function)).parent / matrix
        function.__memkit_sweep__ = matrix  # type: ignore[attr-defined]
        for made, counted, more in staged_claims(path):
            add_claim(function, made.id.rsplit("/", 1)[1], made, more=more, counted=counted)
        return function

    return attach


def staged_claims(path: Path) -> list[tuple[Claim, Any, tuple[str, ...]]]:
    """The claims of a matrix's promoted configurations.

    Returns:
        For each the claim; the :class:`.scoring.Scoring` of its test; and what else the claim's digest covers.
    """
    from memkit.study.promotion import load_promotion

    promoted_path = path.with_name(f"{path.stem}.promoted.json")
    if not path.is_file():
        raise MemkitError(f"staged: there is no matrix {path}; the path is relative to the test's file")
    promotion = load_promotion(promoted_path)
    if promotion is None:
        return []
    from memkit.recipes.references import first_names, resolve
    from memkit.study.loading import DEFAULT_SCORE, load_matrix
    from memkit.training.scoring import Scoring

    matrix = load_matrix(path)
    if promotion.matrix != matrix.digest:
        raise MemkitError(
            f"{path.name} was changed since it was screened, and {promoted_path.name} is of the old one; run "
            f"`memkit study {path.name}` again"
        )
    if strange := [name for name in promotion.promoted if name not in matrix.configurations]:
        raise MemkitError(
            f"{promoted_path.name} promotes {strange[0]!r}, which is no configuration of {path.name}; restore it from "
            "version control"
        )
    scoring = Scoring(score=matrix.score, metric=matrix.confirm.metric, examples=matrix.examples)
    # A score is the body of the test, which registration fixes: to edit it moves the claims to fresh seeds.
    own = () if matrix.score is resolve(DEFAULT_SCORE) else (function_digest(matrix.score),)
    made: list[tuple[Claim, Any, tuple[str, ...]]] = []
    for name in promotion.promoted:
        claim = claim_of_configuration(matrix, name, cells=len(promotion.promoted))
        # A claim's JSON has only the name of an intervention, and not what a factory was called with.
        after = first_names({arm: _settings(matrix, arm, name).get("after") for arm in claim.arms})
        more = (matrix.score_reference, str(matrix.examples), json.dumps(after, sort_keys=True), *own)
        made.append((claim, scoring, more))
    return made


def claim_of_configuration(matrix: Matrix, name: str, *, cells: int) -> Claim:
    """The claim of one promoted configuration.

    Args:
        cells: how many were promoted.
    """
    configuration, confirm = matrix.configurations[name], matrix.confirm
    arms: dict[str, Arm] = {name: configuration.arm}
    arms |= {control: matrix.control(control, name).arm for control in configuration.controls}
    made = make_claim(
        f"{matrix.study}/{name}",
        statement(matrix, name),
        arms,
        contrasts=[confirm.contrast(name, over=control) for control in configuration.controls],
        source=matrix.source,
        expect=confirm.expect,
        seeds=confirm.seeds,
        # An open question gates nothing; any other verdict was asked for, also by normal theory.
        gate=None if confirm.expect == "open" else True,
    )
    if confirm.expect != "open":
        return made
    return replace(made, origin=SweepCell(matrix.study, {"configuration": name}, cells))


def statement(matrix: Matrix, name: str) -> str:
    """``«wide» is higher in accuracy than «linear» and «half».``"""
    from memkit.study.promotion import listed

    confirm = matrix.confirm
    direction = "higher" if confirm.higher else "lower"
    by = f", by more than {confirm.margin:g}," if confirm.margin else ""
    over = listed(f"«{control}»" for control in matrix.configurations[name].controls)
    return f"«{name}» is {direction} in {confirm.metric}{by} than {over}."


def _settings(matrix: Matrix, arm: str, name: str) -> Any:
    return matrix.configurations[name].settings if arm == name else matrix.control(arm, name).settings
