"""Sweeps: slots and facts, other text, lag, corpora, lengths, and the settings of LinformerMemory."""

from fixtures.recall.published import AS_RUN, WRITTEN, reading
from fixtures.recall.recipes import (
    DOCUMENTED,
    LEARNT,
    LINFORMER,
    SLOTS,
    TUNED_LINFORMER,
    recalled,
    unseen,
)
from memkit import Arm, Contrast, sweep
from memkit.models.recalling import filler_only, off, on, other_facts, with_slots
from memkit.tasks.recall import Recall
from memkit.tasks.recall_scoring import exact_match, forced_choice, scores

EXACT = {"metric": "exact match", "bounds": (0, 1)}
RECOMMENDED = "IMM experiments, recommendations"
NATS = {"metric": "nats a token", "direction": "lower", "assume": "normal"}
TUNED = {"LinformerMemory": TUNED_LINFORMER, "learnt attention": LEARNT, "the documented memory": DOCUMENTED}


@sweep(
    "recall/slots-and-facts",
    "Of {facts} facts, {slots} slots recall the share that they have room for, min(1, slots/facts), less at most a "
    "tenth.",
    over={"slots": (1, 2, 4, 8, 16, 32), "facts": (1, 2, 4, 8, 12, 16)},
    arms={"slots": SLOTS},
    contrasts=lambda slots, facts: [
        Contrast("slots", over=min(1, slots / facts) - 0.1, metric="exact match", assume="normal")
    ],
    source=f"{RECOMMENDED}: «varying the number of memory slots». The weights are the same, learnt with eight slots",
)
def test_slots_and_facts(arms, cell, seed):
    return {"slots": recalled(on(with_slots(arms["slots"], cell["slots"])), seed, facts=cell["facts"])}


@sweep(
    "recall/facts-among-other-text",
    "Of {facts} facts among {distractors} contexts of other text, eight slots recall more than nine out of ten.",
    over={"facts": (2, 4, 8), "distractors": (0, 8, 32, 64)},
    arms={"slots": Arm(SLOTS, on)},
    contrasts=[Contrast("slots", over=0.9, metric="exact match", assume="normal")],
    source=RECOMMENDED,
)
def test_facts_among_other_text(arms, cell, seed):
    return {"slots": recalled(arms["slots"], seed, facts=cell["facts"], distractors=cell["distractors"])}


@sweep(
    "recall/lag",
    "One of {facts} facts, {lag} contexts after it was read, is recalled more often than nine times out of ten.",
    over={"facts": (2, 4, 8), "lag": (0, 8, 16, 32, 48, 64)},
    arms={"slots": Arm(SLOTS, on)},
    contrasts=[Contrast("slots", over=0.9, metric="exact match", assume="normal")],
    source=f"{RECOMMENDED}. Among 64 contexts of other text, in eight slots",
)
def test_lag(arms, cell, seed):
    how = {"facts": cell["facts"], "distractors": 64, "asked": 1}
    return {"slots": recalled(arms["slots"], seed, lag=cell["lag"], **how)}


def in_corpus(corpus, kind):
    """Return the recipe of the slots for facts of a kind among text of a corpus."""
    return SLOTS.with_(task=Recall(kind=kind, corpus=corpus), tuning="that of the topics of Python's help")


@sweep(
    "recall/other-corpora",
    "Among text of {corpus}, {kind} words are recalled more often than with the memory off or filled with filler, and "
    "more often than not.",
    over={"corpus": ("shakespeare",), "kind": ("closed", "novel")},
    arms=lambda corpus, kind: {
        "on": Arm(in_corpus(corpus, kind), on),
        "off": Arm(in_corpus(corpus, kind), off),
        "filler only": Arm(in_corpus(corpus, kind), filler_only),
    },
    contrasts=[Contrast("on", over=control, **EXACT) for control in ("off", "filler only", 0.5)],
    source="robustness of recall/a-needle-is-recalled-from-a-partial-cue and recall/novel-words-are-recalled. Closed "
    "words are those of the training facts, in new combinations",
    seeds=8,
)
def test_other_corpora(arms, cell, seed):
    episodes = unseen(cell["kind"], seed, corpus=cell["corpus"])
    return {name: exact_match(model, episodes) for name, model in arms.items()}


def of_length(length):
    """Return the recipe of the slots for contexts of ``length`` tokens."""
    return SLOTS.with_(task=Recall(length=length), tuning="that of contexts of 16 tokens")


@sweep(
    "recall/longer-contexts",
    "With training and recall in contexts of {length} tokens, eight slots recall more than half of eight facts.",
    over={"length": (32, 64)},
    arms=lambda length: {"slots": Arm(of_length(length), on)},
    contrasts=[Contrast("slots", over=0.5, **EXACT)],
    source=f"{RECOMMENDED}; published with block sizes 64 and 256, for sequences from which nothing was recalled",
    seeds=8,
)
def test_longer_contexts(arms, cell, seed):
    return {"slots": exact_match(arms["slots"], unseen("closed", seed, length=cell["length"]))}


OTHERS = {"LinformerMemory as published": LINFORMER, **TUNED}


@sweep(
    "recall/not-even-one-fact",
    "With one fact among eight contexts of other text, holding that fact instead of another episode's fact saves "
    "{memory} a tenth of a nat per token of its ending.",
    over={"memory": tuple(OTHERS)},
    arms=lambda memory: {
        "own": Arm(OTHERS[memory], on),
        "another": Arm(OTHERS[memory], other_facts),
        "slots, own": Arm(SLOTS, on),
        "slots, another": Arm(SLOTS, other_facts),
    },
    contrasts=[Contrast("own", over="another", sesoi=0.1, **NATS)],
    requires=[Contrast("slots, own", over="slots, another", **NATS)],
    source="training begins with episodes with one fact, and these memories get no further. EQUIVALENT: less than a "
    "tenth, whichever fact is held. It was a claim, whose third attempt, with 16 seeds and 50 % more steps, "
    "was EQUIVALENT for all four memories",
    seeds=16,
)
def test_not_even_one_fact(arms, seed):
    episodes = unseen("closed", seed, facts=1, asked=1, count=384)
    return {name: scores(model, episodes) for name, model in arms.items()}


@sweep(
    "recall/four-times-the-steps",
    "With four times the steps, {memory} recalls more than a tenth of eight facts.",
    over={"memory": tuple(TUNED)},
    arms=lambda memory: {"memory": Arm(TUNED[memory].with_(steps=4 * TUNED[memory].steps), on)},
    contrasts=[Contrast("memory", over=0.1, metric="exact match", assume="normal")],
    source="sensitivity of recall/slots-over-tuned-memories to the controls' budget",
    seeds=8,
)
def test_four_times_the_steps(arms, facts_asked_for):
    return {"memory": exact_match(arms["memory"], facts_asked_for)}


@sweep(
    "recall/linformer-settings",
    "LinformerMemory, trained to recall and written after {updates} with lr {lr} and norm {norm}, chooses the right "
    "one of eight endings more often than by chance.",
    over={"updates": ("every block", "later half"), "lr": (0.01, 0.04, 1.0), "norm": ("l2", "layer")},
    arms=lambda updates, lr, norm: {
        "memory": Arm(LINFORMER.with_(memory={"kind": "linformer", "lr": lr, "norm": norm}, updates=updates), on)
    },
    contrasts=[Contrast("memory", over=1 / 8, metric="forced choice", assume="normal")],
    source="IMM experiments: lr and norm, which were set and never read, and the update strategies",
    seeds=8,
)
def test_linformer_settings(arms, facts_asked_for):
    return {"memory": forced_choice(arms["memory"], facts_asked_for)}


@sweep(
    "recall/published-similarity-by-slots-and-length",
    "With {slots} slots and 50 sequences of {length} characters, the published similarity is higher than with eight "
    "slots and 64 characters.",
    over={"slots": (1, 2, 4, 8, 16, 32), "length": (64, 128, 256)},
    arms=["changed", "as run"],
    contrasts=[Contrast("changed", over="as run", metric="similarity", assume="normal")],
    source="IMM experiments: «best configuration: 8 slots, block size 64». Here 8 blocks of width 128, without "
    "training",
    seeds=8,
)
def test_published_similarity_by_slots_and_length(cell, seed):
    return similarities(seed, slots=cell["slots"], length=cell["length"])


@sweep(
    "recall/published-similarity-by-settings",
    "With lr {lr}, norm {norm} and temperature {temperature}, the published similarity is higher than with the "
    "settings that were run.",
    over={"norm": ("l2", "layer"), "temperature": (0.1, 0.8, 1.0), "lr": (0.01, 0.04, 0.16)},
    arms=["changed", "as run"],
    contrasts=[Contrast("changed", over="as run", metric="similarity", assume="normal")],
    source="IMM experiments: «best configuration: lr = 0.04, norm = layer, temp = 0.8», settings that no code read",
    seeds=8,
)
def test_published_similarity_by_settings(cell, seed):
    return similarities(seed, lr=cell["lr"], norm=cell["norm"], temperature=cell["temperature"])


def similarities(seed, **changed):
    """Return the mean similarity of written text, with changed settings and with those that were run."""
    settings = ({**AS_RUN, **changed}, AS_RUN)
    found = (reading(seed, kinds=(WRITTEN,), **given).similarity.mean() for given in settings)
    return dict(zip(("changed", "as run"), map(float, found), strict=True))
