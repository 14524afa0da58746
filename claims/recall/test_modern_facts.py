"""Modern facts, each read once among other text, and asked for by their first two words.

24 true sentences about the years 2007 to 2024, none of which is in the corpus that a small character model has learnt.
Chance is 0 for exact match, 1/24 for the forced choice, and log 103 = 4.63 nats per character for a uniform guess.
"""

from fixtures.recall.modern import (
    CHANCE,
    MAX_FORCED_CHOICE,
    MAX_GAIN,
    MOST,
    by_distractors,
    completions,
    cut_off,
    gain_by_position,
    gains,
    linformer,
    measured,
    store,
)
from memkit import Arm, Contrast, claim
from memkit.demo.characters import CHARACTERS

SOURCE = (
    "IMM experiments, recall: «the memory module successfully recalls information from partial cues», «simulated "
    "recall for all modern facts»"
)
EXACT = {"metric": "exact match", "bounds": (0, 1)}
NATS = {"metric": "nats a character", "bounds": (0, MOST), "direction": "lower"}
CONTROLS = ("off", "filler", "other", "permuted")


@claim(
    "recall/linformer-recalls-no-modern-fact",
    "LinformerMemory as published, trained within a character model, recalls none of 24 modern facts: having read "
    "them changes the nats per character of their endings by less than 0.05 against no memory, filler and other "
    "facts, and the right ending is chosen from all endings at chance level, 1/24, to within 0.1.",
    arms={
        **{name: Arm(CHARACTERS, linformer(name)) for name in ("on", "off", "filler", "other")},
        "store": Arm(CHARACTERS, store("on")),
    },
    contrasts=[
        *(
            Contrast(f"gain over {name}", over=0, metric="nats a character", bounds=(-MAX_GAIN, MAX_GAIN), sesoi=0.05)
            for name in ("off", "filler", "other")
        ),
        Contrast("on, cut off", over=CHANCE, metric="forced choice", bounds=(0, MAX_FORCED_CHOICE), sesoi=0.1),
    ],
    derived=["gain over off", "gain over filler", "gain over other", "on, cut off"],
    positive_control=Contrast("store", over=CHANCE, metric="forced choice", bounds=(0, 1)),
    expect="equivalent",
    source=f"{SOURCE}. Rerun: gain from the model's own facts within ±0.0004 nats, forced choice at chance",
    figures=[completions],
)
def test_linformer_recalls_no_modern_fact(arms):
    found = measured(arms, choice=("on", "store"))
    return {**found, **gains(arms, "on", ("off", "filler", "other")), "on, cut off": cut_off(found["on"])}


@claim(
    "recall/next-tokens-recall-modern-facts",
    "Beside the same model, a store of the next character after every 20 characters recalls modern facts that were "
    "read once, in exact match and in nats per character: better than no store, and better than a store of filler, of "
    "other facts, or of permuted next characters.",
    arms={name: Arm(CHARACTERS, store(name)) for name in ("on", *CONTROLS)},
    contrasts=[
        *(Contrast("on", over=name, **EXACT) for name in CONTROLS),
        *(Contrast("on", over=name, **NATS) for name in CONTROLS),
    ],
    source=f"{SOURCE}. A prototype of such a store was at 1.0, with a gain of 2.2 nats per character. Here two facts "
    "are completed with another fact's year: «in January 20» and «in September 20» occur in several",
    figures=[gain_by_position, completions],
)
def test_next_tokens_recall_modern_facts(arms):
    return measured(arms)


@claim(
    "recall/next-tokens-outlast-other-text",
    "After 150 more contexts of other text, which it also stores, the store of next characters still recalls modern "
    "facts, in exact match and in nats per character: better than no store, and better than a store of filler, of "
    "other facts, or of permuted next characters.",
    arms={name: Arm(CHARACTERS, store(name, distractors=150)) for name in ("on", *CONTROLS)},
    contrasts=[
        *(Contrast("on", over=name, **EXACT) for name in CONTROLS),
        *(Contrast("on", over=name, **NATS) for name in CONTROLS),
    ],
    source="a prototype was also at 1.0 after 150 distractors",
    figures=[by_distractors],
)
def test_next_tokens_outlast_other_text(arms):
    return measured(arms)


@claim(
    "recall/surprise-over-first-in-first-out",
    "With room for two fifths of what is read, and 150 contexts of other text after the facts, a store that evicts "
    "what surprised the model least needs fewer nats per character for the facts' endings than a store that evicts "
    "the oldest entries, and than no store.",
    arms={
        **{
            eviction: Arm(CHARACTERS, store("on", distractors=150, capacity=8192, eviction=eviction))
            for eviction in ("surprise", "fifo")
        },
        "off": Arm(CHARACTERS, store("off")),
    },
    contrasts=[Contrast("surprise", over=name, **NATS) for name in ("fifo", "off")],
    source="IMM experiments, recommendations: «different memory update strategies (e.g., importance-based)». By then, "
    "first in, first out has evicted every fact; exact match is 0 with either, since eviction by surprise leaves "
    "holes in every fact. With facts in any position: recall/whole-facts-or-all-facts",
    figures=[completions],
)
def test_surprise_over_first_in_first_out(arms):
    return measured(arms)


@claim(
    "recall/whole-facts-or-all-facts",
    "With the facts anywhere among 150 contexts of other text, and room for two fifths of what is read, a store that "
    "evicts the oldest entries completes more facts correctly than a store that evicts what surprised the model "
    "least; the latter needs fewer nats per character for the endings.",
    arms={
        eviction: Arm(CHARACTERS, store("on", distractors=150, scattered=True, capacity=8192, eviction=eviction))
        for eviction in ("surprise", "fifo")
    },
    contrasts=[
        Contrast("fifo", over="surprise", metric="exact match", assume="normal"),
        Contrast("surprise", over="fifo", direction="lower", metric="nats a character", assume="normal"),
    ],
    gate=True,
    source="IMM experiments, recommendations: «different memory update strategies (e.g., importance-based)». A review "
    "asked for it, after a deciding seed of the first attempt had been inspected; that attempt was never run",
    figures=[completions],
)
def test_whole_facts_or_all_facts(arms):
    return measured(arms)


@claim(
    "recall/untried-sentences-are-recalled",
    "Twelve other sentences, on which no setting was chosen, are recalled by the store of next characters, in exact "
    "match and in nats per character: better than with no store, and better than with a store of filler, of other "
    "facts, or of permuted next characters.",
    arms={name: Arm(CHARACTERS, store(name, untried=True)) for name in ("on", *CONTROLS)},
    contrasts=[
        *(Contrast("on", over=name, **EXACT) for name in CONTROLS),
        *(Contrast("on", over=name, **NATS) for name in CONTROLS),
    ],
    source="the store's three settings were chosen by exact match on the 24 sentences of the other claims, on a "
    "development seed; the sentences are the same for every seed",
    figures=[completions],
)
def test_untried_sentences_are_recalled(arms):
    return measured(arms)


@claim(
    "recall/modern-facts-with-one-cue",
    "If two of the facts share a cue, the forced choice among all 24 endings is at its ceiling, 1/2, to within 0.15: "
    "the store tells which two endings may follow, and the cue does not tell which of them.",
    arms={"one cue": Arm(CHARACTERS, store("on", pairs=True)), "unique": Arm(CHARACTERS, store("on"))},
    contrasts=[Contrast("one cue", over=0.5, metric="forced choice", bounds=(0, 1), sesoi=0.15)],
    positive_control=Contrast("unique", over="one cue", metric="forced choice", bounds=(0, 1)),
    expect="equivalent",
    source="12 pairs of sentences with the same first two words; both sentences of a pair are asked for after the "
    "same text",
    figures=[completions],
    deterministic=True,
)
def test_modern_facts_with_one_cue(arms):
    return measured(arms, choice=tuple(arms))


@claim(
    "recall/store-over-the-fact-in-context",
    "If the fact stands in the context that ends with its cue, the same model without a store completes the fact less "
    "often than with one, and needs more nats per character: it has not learnt to copy.",
    arms={"on": Arm(CHARACTERS, store("on")), "in context": Arm(CHARACTERS, store("in context"))},
    contrasts=[
        Contrast("on", over="in context", **EXACT),
        Contrast("on", over="in context", **NATS),
    ],
    source="the in-context oracle, which is no oracle for so small a model: exact match 0 on development seeds",
    figures=[completions],
)
def test_store_over_the_fact_in_context(arms):
    return measured(arms)
