"""Memories: read, write, reset, and nothing of the network around them."""
