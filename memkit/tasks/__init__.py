"""Tasks: each draws training examples from a seed's generators, and enumerates the examples for evaluation."""
