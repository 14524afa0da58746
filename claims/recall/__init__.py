"""What was published as recall is drift, we think. LinformerMemory's slots all move towards what is being read, and
are as similar to text that was never written; its similarity measures how long it has been reading. That it is
equivalent to chance here says that it was not taught by as many trials and steps as we gave it, not that nothing
could teach it.

Gated slots recall because each context has a place of its own, and a key of two words that a cue repeats. Both are
built in, in the form of these facts: they show that recall can be had from a small memory, not that a language model
would find such a memory by itself. Sentences as people write them are brought back by a store of next characters
alone.
"""
