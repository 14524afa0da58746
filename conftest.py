"""Loads the studies' fixtures, for claims and tests alike. They need torch; the engine and its tests do not."""

import importlib.util

FIXTURES = [
    "fixtures.binding",
    "fixtures.binding_causality",
    "fixtures.binding_composition",
    "fixtures.binding_management",
    "fixtures.binding_regimes",
    "fixtures.intervention",
    "fixtures.recall",
    "fixtures.tasks",
]

pytest_plugins = FIXTURES if importlib.util.find_spec("torch") else []
