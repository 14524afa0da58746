"""We think that the published recall is drift. LinformerMemory's slots all move towards what is being read, and are as
similar to text that was never written; the published similarity measures how long the memory has been reading. That it
is equivalent to chance here shows that our trials and steps did not teach it to recall, not that nothing could.

Gated slots recall because each context has its own slot, with a key of two words that a cue repeats. Both are built in
and match the form of these facts. They show that a small memory can recall, not that a language model would find such a
memory by itself. Only a store of next characters recalls sentences as people write them.
"""

METRICS = {
    "exact match": "share of cues whose greedy completion equals the fact's ending, token by token",
    "exact match for 64 contexts": (
        "change of exact match per 64 more contexts, negative for a loss: least squares over four numbers"
    ),
    "nats a token": "mean cross-entropy of the true endings, cut off at log V for each token",
    "nats a character": "mean cross-entropy of the true endings of sentences, cut off for each character",
    "forced choice": (
        "share of cues for which the right ending is the most probable of the endings of the episode's facts"
    ),
    "share of parameters": "the memory's parameters as a share of the whole model's",
    "share of operations": "the memory's share of the matrix-product operations to read episodes and complete cues",
    "share of time": "the memory's share of the CPU time to read episodes and complete cues",
    "any not finite": "1 if any number in the memory or in the predictions was not finite, else 0",
    "similarity": "the published similarity: mean cosine between the slots and the mean hidden state of what is read",
    "similarity of the first twenty": "the published similarity, over the first twenty sequences",
    "rank correlation with the number read": "Spearman's correlation with the number of sequences read before",
    "mutual cosine of the slots": "mean cosine between two different slots",
    "told apart": "how often a written sequence has a higher similarity than an unseen one; ties count half",
    "effective number of slots": (
        "exp of the entropy of the slots' shares of the writes, or of the eigenvalues of their cosines at the end"
    ),
    "cosine with the memory's own output": (
        "mean cosine between the slots at the end and what the memory adds to hidden states"
    ),
    "influence": "mean total variation between predictions with and without the memory",
    "by content": (
        "total variation between predictions with this memory and with a memory of random characters, as a share of "
        "its maximum"
    ),
    "right slots": "share of cues at whose second word the slot that is read most is the one that holds the fact",
    "total variation": "total variation between next-token distributions with and without the memory",
    "contexts": (
        "exp of the mutual information between contexts and the slots they are written to: how many can be told apart"
    ),
    "cues": "exp of the mutual information between cues and the slots that are read: how many can be told apart",
}
"""What is measured, for the report."""
