"""The cost of training: CPU seconds per seed, as measured before."""

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
    """Return 16 hex digits for a recipe's JSON: unlike its digest, they do not change with the code behind it."""
    text = json.dumps(recipe, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def seconds_per_seed(trainings: Iterable[Training], store: Store, accepted: Path) -> dict[str, float]:
    """Return recipe digest → CPU seconds per seed, for recipes that have been trained before.

    Args:
        store: measured here, on other seeds.
        accepted: the accepted verdicts of a project (``memkit accept``), measured where they were accepted; used for
            what the store does not know. A file that is missing or damaged tells nothing.
    """
    elsewhere = _accepted(accepted)
    known = {}
    for training in trainings:
        here = [seconds for seconds in store.cpu_seconds(training.digest) if _sane(seconds)]
        seconds = fmean(here) if here else elsewhere.get(recipe_key(training.recipe))
        if seconds is not None:
            known[training.digest] = seconds
    return known


def _accepted(path: Path) -> dict[str, float]:
    """Return recipe key → CPU seconds per seed, of the arms that say so."""
    known: dict[str, float] = {}
    try:
        for claim in strict_json.read_json(path)["claims"].values():
            for arm in claim.get("arms", {}).values():
                if "recipe" in arm and _sane(seconds := float(arm.get("cpu_seconds", math.nan))):
                    known[str(arm["recipe"])] = seconds
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}
    return known


def _sane(seconds: float) -> bool:
    return math.isfinite(seconds) and seconds >= 0
