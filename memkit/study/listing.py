"""A study in the terminal: its configurations before they run, and the results of screening."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from memkit.store.store import Store
from memkit.study.matrix import Matrix
from memkit.study.promotion import Promotion, join_names, load_promotion
from memkit.study.screening import cohorts_to_train, development_seeds, policy_of, seeds_in_store
from memkit.study.screening_table import screening_rows, text_table


def listing(matrix: Matrix, store: Store) -> str:
    """Return the text of ``memkit study --list``: configurations, controls, and how many runs are to be trained."""
    stored_counts, seeds = seeds_in_store(matrix, store), development_seeds(matrix)
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
                f"{stored_counts[name]} of {len(seeds)}",
                settings_text(configuration.differs) or "–",
            )
        )
    controls = [
        f"  {name}: " + (f"the configuration {given}" if isinstance(given, str) else settings_text(given))
        for name, given in matrix.controls.items()
    ]
    runs = sum(len(cohort.seeds) for cohort in cohorts_to_train(matrix, store))
    lines = [f"{matrix.study}: {matrix.title}" if matrix.title else matrix.study, *text_table(rows)]
    lines += ["controls:", *controls, policy_of(matrix).sentence]
    promotion = load_promotion(matrix.promoted_path)
    if promotion is not None and promotion.matrix != matrix.digest:
        lines.append(
            f"{matrix.path.name} has changed since it was screened: the next run screens it again, and claims that "
            "then differ move to fresh seeds as a new attempt"
        )
    lines.append(f"stage A: {runs} {'run' if runs == 1 else 'runs'} to train; store: {store}")
    return "\n".join(lines)


def screening_table(promotion: Promotion) -> str:
    """Return stage A as a table: every configuration with its scores, and whether and why it was promoted."""
    return "\n".join([*text_table(screening_rows(promotion)), f"promoted: {join_names(promotion.promoted)}"])


def settings_text(settings: Mapping[str, Any]) -> str:
    """Return settings as a text: ``lr 0.02, steps 600``."""
    return ", ".join(f"{name} {_value(value)}" for name, value in settings.items())


def _value(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
