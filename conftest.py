"""Loads the studies' fixtures, for claims and tests alike."""

pytest_plugins = [
    "fixtures.binding.recipes",
    "fixtures.binding.causality",
    "fixtures.binding.composition",
    "fixtures.binding.management",
    "fixtures.binding.regimes",
    "fixtures.intervention.interventions",
    "fixtures.recall.recipes",
    "fixtures.tasks",
]
