"""A study in the terminal: its configurations before they run, and how they came out of the screening."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from memkit.store.store import Store
from memkit.study.matrix import Matrix
from memkit.study.promotion import Promotion, listed, load_promotion
from memkit.study.screening import development_seeds, in_store, lacking, policy_of
from memkit.study.screening_table import screening_rows, text_table


def listing(matrix: Matrix, store: Store) -> str:
    """Return what is screened, what it is held against, and how much of it would have to be trained."""
    stored, seeds = in_store(matrix, store), development_seeds(matrix)
    rows = [("configuration", "family", "role", "controls", "in store", "what differs")]
    for name, configuration in matrix.configurations.items():
        always = name in matrix.screen.always
        role = "always" if always else "candidate" if name in matrix.candidates else "control"
        rows.append(
            (
                name,
                configuration.family or "–",
                role,
                ", ".join(configuration.controls) if role != "control" else "–",
                f"{stored[name]} of {len(seeds)}",
                differences(configuration.differs) or "–",
            )
        )
    controls = [
        f"  {name}: " + (f"the configuration {given}" if isinstance(given, str) else differences(given))
        for name, given in matrix.controls.items()
    ]
    runs = sum(len(cohort.seeds) for cohort in lacking(matrix, store))
    lines = [f"{matrix.study}: {matrix.title}" if matrix.title else matrix.study, *text_table(rows)]
    lines += ["controls:", *controls, policy_of(matrix).sentence]
    screened = load_promotion(matrix.promoted_path)
    if screened is not None and screened.matrix != matrix.digest:
        lines.append(
            f"{matrix.path.name} was changed since it was screened: running it screens again, and claims that differ "
            "then move to fresh seeds, as another attempt"
        )
    lines.append(f"stage A: {runs} {'run' if runs == 1 else 'runs'} to train; store: {store}")
    return "\n".join(lines)


def screening_table(promotion: Promotion) -> str:
    """Return stage A as a table: every configuration with its scores, and what became of it."""
    rows = screening_rows(promotion)
    count = listed(promotion.promoted)
    return "\n".join([*text_table(rows), f"promoted: {count}"])


def differences(settings: Mapping[str, Any]) -> str:
    """``lr 0.02, steps 600``."""
    return ", ".join(f"{name} {_value(value)}" for name, value in settings.items())


def _value(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
