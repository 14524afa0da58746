"""Update strategies on the same weights: all contexts are written, as in training, or only some, or all with resets.

Eight facts are read among 32 contexts of other text, with eight slots.
"""

from fixtures.recall.recipes import SLOTS, unseen
from fixtures.recall.updates import evenly_spaced_contexts, most_surprising, resets
from memkit import Arm, Contrast, claim
from memkit.models.recalling import on
from memkit.tasks.recall_scoring import exact_match

SOURCE = "IMM experiments, recommendations: «different memory update strategies (e.g., importance-based)»"
EXACT = {"metric": "exact match", "bounds": (0, 1)}


def measured(arms, seed):
    """Return the exact match of each arm after contexts of which most hold no fact."""
    return {name: exact_match(model, unseen("closed", seed, distractors=32)) for name, model in arms.items()}


@claim(
    "recall/importance-over-every-context",
    "If only the sixteen of forty contexts that surprise the model most are written, more is recalled than if every "
    "context is written.",
    arms={"most surprising": Arm(SLOTS, most_surprising), "every context": Arm(SLOTS, on)},
    contrasts=[Contrast("most surprising", over="every context", **EXACT)],
    expect="open",
    source=f"{SOURCE}. Surprise is the nats per token of a context, with the memory off, in a model that was trained "
    "with one",
)
def test_importance_over_every_context(arms, seed):
    return measured(arms, seed)


@claim(
    "recall/surprise-over-evenly-spaced",
    "If only sixteen of forty contexts are written, more is recalled with those that surprise the model most than "
    "with sixteen evenly spaced ones, but less than if every context is read and the learnt gates decide what is "
    "written.",
    arms={
        "most surprising": Arm(SLOTS, most_surprising),
        "evenly spaced": Arm(SLOTS, evenly_spaced_contexts),
        "every context": Arm(SLOTS, on),
    },
    contrasts=[
        Contrast("most surprising", over="evenly spaced", metric="exact match", assume="normal"),
        Contrast("every context", over="most surprising", metric="exact match", assume="normal"),
    ],
    gate=True,
    source=f"{SOURCE}. A fact surprises the model more than other text, by 0.3 of 4.3 nats per token on two "
    "development seeds: with its memory off, the model is at its worst where a fact has to be completed, which it "
    "never had to do without a memory",
)
def test_surprise_over_evenly_spaced(arms, seed):
    return measured(arms, seed)


@claim(
    "recall/resets-over-none",
    "If the memory is emptied after every 24 contexts, more is recalled than without resets.",
    arms={"reset": Arm(SLOTS, resets), "none": Arm(SLOTS, on)},
    contrasts=[Contrast("reset", over="none", **EXACT)],
    expect="open",
    source="IMM experiments, recommendations: «periodic memory resets». The last reset of 40 contexts is 16 contexts "
    "before the end: what came earlier can only be guessed",
)
def test_resets_over_none(arms, seed):
    return measured(arms, seed)
