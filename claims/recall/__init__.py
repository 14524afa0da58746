"""We think that what was published as recall is drift. LinformerMemory's slots all move towards what is being read, and
are as similar to text that was never written; its similarity measures how long it has been reading. That it is
equivalent to chance here says that it was not taught by as many trials and steps as we gave it, not that nothing
could teach it.

Gated slots recall because each context has a place of its own, and a key of two words that a cue repeats. Both are
built in, in the form of these facts: they show that recall can be had from a small memory, not that a language model
would find such a memory by itself. Sentences as people write them are brought back by a store of next characters
alone.
"""

METRICS = {
    "exact match": "share of cues whose greedy completion is their fact's ending, token by token",
    "exact match for 64 contexts": (
        "what exact match gains with 64 contexts more, a loss being negative: by least squares over four numbers"
    ),
    "nats a token": "mean cross-entropy of the true endings, each token's cut off at log V",
    "nats a character": "mean cross-entropy of the true endings of sentences, each character's cut off",
    "forced choice": (
        "share of cues for which, of the endings of the episode's facts, the right one is the most probable"
    ),
    "share of parameters": "the memory's, of the whole model's",
    "share of operations": "the memory's in reading episodes and completing cues, of all operations of matrix products",
    "share of time": "the memory's CPU time in reading episodes and completing cues, of the whole model's",
    "any not finite": "1 where a number that was held or predicted was not finite, else 0",
    "similarity": "the published one: mean cosine of the slots and the mean hidden states of what is read",
    "similarity of the first twenty": "the published similarity, over the first twenty sequences",
    "rank correlation with the number read": "Spearman's, of similarity and how many sequences were read before",
    "mutual cosine of the slots": "mean cosine of two different slots",
    "told apart": (
        "how often the similarity is higher for the written one of a written and an unseen sequence; ties half"
    ),
    "effective number of slots": (
        "exp of an entropy: of the slots' shares of the writes, or of the eigenvalues of their cosines in the end"
    ),
    "cosine with the memory's own output": (
        "mean cosine of the slots in the end with what the memory adds to hidden states"
    ),
    "influence": "mean total variation between predictions with the memory and without",
    "by content": (
        "total variation between predictions with this memory and with one of random characters, as a share of the "
        "most that it could be"
    ),
    "right slots": "share of cues at whose second word the slot that is read most is the one that holds their fact",
    "total variation": "between next-token distributions with the memory and without",
    "contexts": (
        "exp of the mutual information of contexts and the slots they are written to: how many can be told apart"
    ),
    "cues": "exp of the mutual information of cues and the slots that are read: how many can be told apart",
}
"""What is measured, for the report."""
