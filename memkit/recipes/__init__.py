"""Recipes, which describe as data what is trained; importable names of objects; and the backends that train recipes."""
