"""Hypothesis without deadlines: the cores are shared, and no test here is about time."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")
