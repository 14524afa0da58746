"""Loads the studies' fixtures, for claims and tests alike."""

pytest_plugins = [
    "fixtures.binding",
    "fixtures.binding_causality",
    "fixtures.binding_composition",
    "fixtures.binding_management",
    "fixtures.binding_regimes",
    "fixtures.intervention",
    "fixtures.recall",
    "fixtures.tasks",
]
