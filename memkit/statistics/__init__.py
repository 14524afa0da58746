"""Capital won by betting, intervals, multiplicity and power: pure functions of arrays.

The seed is the unit of replication: the last axis of an array is the seeds, with one value per seed that is
already averaged over items and paired by seed. :func:`reached` says which verdicts the paired differences reach after
each seed, and :func:`decide` turns them into a :class:`Decision`. Nothing here depends on claims, models or torch.
"""

from __future__ import annotations

from memkit.statistics.betting import (
    LogCapital,
    betting,
    betting_limits,
    log_capital,
    log_capital_path,
    seeds_to_reach,
    smallest_constant,
    smallest_effect,
    smallest_sesoi,
)
from memkit.statistics.contrast_verdict import (
    Assumption,
    Capital,
    Decision,
    Outcome,
    Reached,
    decide,
    decide_many_by_t,
    first_decisions,
    reached,
)
from memkit.statistics.equivalence import tost_pvalues
from memkit.statistics.intervals import Interval, TTest, student_t, t_limits, t_test, wilson
from memkit.statistics.looks import LEAST_SEEDS, LOOKS, SEEDS_PER_LOOK, Look, look_sizes
from memkit.statistics.multiplicity import e_bh_levels
from memkit.statistics.power import (
    collapse_bound,
    minimum_detectable_effect,
    paired_power,
    sd_upper_limit,
    seeds_for_power,
    seeds_needed,
)
from memkit.statistics.thresholds import ALPHA, Thresholds

__all__ = [
    "ALPHA",
    "LEAST_SEEDS",
    "LOOKS",
    "SEEDS_PER_LOOK",
    "Assumption",
    "Capital",
    "Decision",
    "Interval",
    "LogCapital",
    "Look",
    "Outcome",
    "Reached",
    "TTest",
    "Thresholds",
    "betting",
    "betting_limits",
    "collapse_bound",
    "decide",
    "decide_many_by_t",
    "e_bh_levels",
    "first_decisions",
    "log_capital",
    "log_capital_path",
    "look_sizes",
    "minimum_detectable_effect",
    "paired_power",
    "reached",
    "sd_upper_limit",
    "seeds_for_power",
    "seeds_needed",
    "seeds_to_reach",
    "smallest_constant",
    "smallest_effect",
    "smallest_sesoi",
    "student_t",
    "t_limits",
    "t_test",
    "tost_pvalues",
    "wilson",
]
