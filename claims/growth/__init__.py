"""Growth need not disturb what a network computes, and the toolkit's networks forgot because layers were drawn at
random. But we found no case for growing: at equal examples, and at equal multiplications, a network that had its
final size from the beginning is ahead.

A memory helps a growing network as it helps any that is trained too little. That growing with memory works does not
make it worth doing.
"""
