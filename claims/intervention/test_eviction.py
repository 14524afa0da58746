"""Which entries a full memory should keep while the representation drifts.

1,000 training images pass three times through a memory of 500 places, at the penultimate layer of a network that is
being trained; the memory is applied at inference alone, so that all arms have the same weights, bit for bit, and
differ in what their memories hold. Conditional on this test set.
"""

from fixtures.intervention import EVICTING, INACTIVE
from fixtures.intervention_figures import ages_by_policy
from memkit import Contrast, claim
from memkit.tasks.images.scoring import accuracy

SMALL = {"metric": "accuracy", "assume": "normal"}
TOOLKIT = "MNIST hybrid toolkit: its policies gave identical rows, as its memory never filled"


def measured(arms, images):
    """Accuracy; the share of what was inserted that was evicted; the share of entries that «none» does not have."""
    first = set(arms["none"].memory.born[0].tolist()) if "none" in arms else set()
    found = {}
    for name, model in arms.items():
        memory = model.memory
        kept = memory.born[0][memory.present[0]].tolist()
        found[name] = {
            "accuracy": accuracy(model, images.test),
            "evicted": float(memory.evicted / memory.inserted.clamp(min=1)),
            "other entries": sum(born not in first for born in kept) / len(kept),
        }
    return found


@claim(
    "intervention/forgetting-over-keeping-what-came-first",
    "While the representation drifts, every policy that makes room for new entries beats keeping what came first.",
    arms=EVICTING,
    contrasts=[
        Contrast(policy, over="none", **SMALL)
        for policy in ("ttl", "fifo", "reservoir", "usage", "helpfulness", "helpfulness_age")
    ],
    requires=[
        Contrast(policy, over=0.0, metric=metric, bounds=(0, 1), margin=0.01)
        for metric in ("evicted", "other entries")
        for policy in EVICTING
        if policy != "none"
    ],
    gate=True,
    source=TOOLKIT,
    figures=[ages_by_policy],
)
def test_forgetting_over_keeping_what_came_first(arms, images):
    return measured(arms, images)


@claim(
    "intervention/recent-entries-over-a-uniform-sample",
    "First in, first out, time to live, usage, and helpfulness with age beat a uniform sample of all that came.",
    arms={name: EVICTING[name] for name in ("reservoir", "ttl", "fifo", "usage", "helpfulness_age")},
    contrasts=[Contrast(p, over="reservoir", **SMALL) for p in ("ttl", "fifo", "usage", "helpfulness_age")],
    gate=True,
    source=TOOLKIT,
)
def test_recent_entries_over_a_uniform_sample(arms, images):
    return measured(arms, images)


@claim(
    "intervention/helpfulness-no-better-than-a-uniform-sample",
    "Keeping the entries that lowered the loss most is worth as much as a uniform sample, within three points.",
    arms={name: EVICTING[name] for name in ("helpfulness", "reservoir", "fifo")},
    contrasts=[Contrast("helpfulness", over="reservoir", sesoi=0.03, **SMALL)],
    positive_control=Contrast("fifo", over="reservoir", **SMALL),
    expect="equivalent",
    gate=True,
    source=TOOLKIT,
)
def test_helpfulness_no_better_than_a_uniform_sample(arms, images):
    return measured(arms, images)


@claim(
    "intervention/keeping-what-came-first-hurts",
    "A memory that keeps what came first makes the network worse than no memory.",
    arms={"inactive": INACTIVE, "none": EVICTING["none"]},
    contrasts=[Contrast("inactive", over="none", **SMALL)],
    gate=True,
    source=TOOLKIT,
)
def test_keeping_what_came_first_hurts(arms, images):
    return measured(arms, images)
