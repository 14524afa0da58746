"""What is to be trained, as data: recipes, names for objects, and the backends that train them."""
