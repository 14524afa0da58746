"""Claims that are true or false by construction: arms against themselves, and planted effects. They show whether the
engine can be trusted, and say nothing about any memory.
"""
