"""Estimates of the cost of training, in CPU seconds per seed, from earlier measurements."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from statistics import fmean
from typing import Any

from memkit.evidence import strict_json
from memkit.scheduling.cohorts import Training
from memkit.store.store import Store


def recipe_key(recipe: Mapping[str, Any]) -> str:
    """Return a key, 16 hex digits, for a recipe's JSON; unlike the digest, it does not change with the code."""
    text = json.dumps(recipe, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def seconds_per_seed(trainings: Iterable[Training], store: Store, accepted: Path) -> dict[str, float]:
    """Return recipe digest → CPU seconds per seed, for recipes that have been trained before.

    Args:
        trainings: the recipes.
        store: the store, with the costs of other seeds that were measured on this machine.
        accepted: the file of accepted verdicts (``memkit accept``), with costs that may come from another machine. They
            are used for recipes that the store does not contain. A missing or damaged file is ignored.
    """
    accepted_seconds = _accepted_seconds(accepted)
    estimates = {}
    for training in trainings:
        measured = [seconds for seconds in store.cpu_seconds(training.digest) if _is_plausible(seconds)]
        seconds = fmean(measured) if measured else accepted_seconds.get(recipe_key(training.recipe))
        if seconds is not None:
            estimates[training.digest] = seconds
    return estimates


def _accepted_seconds(path: Path) -> dict[str, float]:
    """Return recipe key → CPU seconds per seed, for the arms with a known cost."""
    known: dict[str, float] = {}
    try:
        for claim in strict_json.read_json(path)["claims"].values():
            for arm in claim.get("arms", {}).values():
                if "recipe" in arm and _is_plausible(seconds := float(arm.get("cpu_seconds", math.nan))):
                    known[str(arm["recipe"])] = seconds
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}
    return known


def _is_plausible(seconds: float) -> bool:
    return math.isfinite(seconds) and seconds >= 0
