"""Claims that are true or false by construction: an arm against itself, and effects that were planted. They say
whether the engine can be believed, and nothing of any memory.
"""
