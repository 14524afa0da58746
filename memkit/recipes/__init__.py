"""Recipes, which say as data what is to be trained; names for objects; and the backends that train recipes."""
