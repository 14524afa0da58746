"""Recipes, which describe the training of models as data; importable names of objects; and training backends."""
