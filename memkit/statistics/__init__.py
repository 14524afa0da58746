"""Intervals, sequential looks, equivalence, multiplicity and power: pure functions of arrays.

The seed is the unit of replication: the last axis of an array is the seeds, with one value per seed that is
already averaged over items and paired by seed. :func:`decide` turns the paired differences at a :class:`Look` into
a :class:`Decision`; :func:`replay` applies it at each look in turn. Nothing here depends on claims, models or torch.
"""

from __future__ import annotations

from memkit.statistics.betting import LogCapital, betting, betting_limits, log_capital, smallest_constant
from memkit.statistics.contrast_verdict import Assumption, Decision, Outcome, decide, decide_many
from memkit.statistics.equivalence import Tost, tost, tost_pvalues
from memkit.statistics.intervals import Interval, TTest, student_t, t_limits, t_test, wilson
from memkit.statistics.looks import LOOKS, Look, looks_within, replay
from memkit.statistics.multiplicity import benjamini_hochberg, holm
from memkit.statistics.power import (
    collapse_bound,
    minimum_detectable_effect,
    paired_power,
    sd_upper_limit,
    seeds_for_power,
    seeds_needed,
)

__all__ = [
    "LOOKS",
    "Assumption",
    "Decision",
    "Interval",
    "LogCapital",
    "Look",
    "Outcome",
    "TTest",
    "Tost",
    "benjamini_hochberg",
    "betting",
    "betting_limits",
    "collapse_bound",
    "decide",
    "decide_many",
    "holm",
    "log_capital",
    "looks_within",
    "minimum_detectable_effect",
    "paired_power",
    "replay",
    "sd_upper_limit",
    "seeds_for_power",
    "seeds_needed",
    "smallest_constant",
    "student_t",
    "t_limits",
    "t_test",
    "tost",
    "tost_pvalues",
    "wilson",
]
