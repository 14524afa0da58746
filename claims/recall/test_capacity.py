"""Capacity: recall by numbers of facts and slots, by the amount of other text, by lag, and with shared cues."""

from scipy.stats import linregress

from fixtures.recall.figures import capacity, distractors, lag
from fixtures.recall.recipes import DELTA, SLOTS, recalled
from memkit import Arm, Contrast, claim
from memkit.models.recalling import on
from memkit.tasks.recall_scoring import exact_match

NEW = "IMM experiments, recommendations: «varying the number of memory slots»"
EXACT = {"metric": "exact match", "bounds": (0, 1)}
SLOPE = {"metric": "exact match for 64 contexts", "assume": "normal"}
ON = {"slots": Arm(SLOTS, on)}


@claim(
    "recall/capacity-follows-the-slots",
    "Eight slots recall as many facts as they have room for: more than 95 % of eight facts, and of K > 8 facts the "
    "share 8/K, to within 0.15.",
    arms=ON,
    derived=("8 facts", "10 facts", "12 facts", "16 facts"),
    contrasts=[Contrast(f"{facts} facts", over=8 / facts, sesoi=0.15, **EXACT) for facts in (10, 12, 16)],
    requires=[Contrast("8 facts", over=0.95, metric="exact match", assume="normal")],
    positive_control=Contrast("8 facts", over="16 facts", **EXACT),
    expect="equivalent",
    source=f"{NEW}. A prototype was at about 0.95·min(1, 8/K). Trained with up to eight facts",
    figures=[capacity],
)
def test_capacity_follows_the_slots(arms, seed):
    by_facts = {f"{facts} facts": recalled(arms["slots"], seed, facts=facts) for facts in (8, 10, 12, 16)}
    return {"slots": by_facts["8 facts"], **by_facts}


@claim(
    "recall/other-text-wears-full-slots",
    "With eight facts in eight slots, among 64 contexts of other text, more than half of the facts are still "
    "recalled, but fewer than among eight contexts.",
    arms=ON,
    derived=("8 texts", "64 texts"),
    contrasts=[Contrast("64 texts", over=0.5, **EXACT), Contrast("8 texts", over="64 texts", **EXACT, assume="normal")],
    gate=True,
    source=f"{NEW}. No context is ignored completely: each overwrites a little of the slot that was written first",
    figures=[distractors],
)
def test_other_text_wears_full_slots(arms, seed):
    by_text = {f"{texts} texts": recalled(arms["slots"], seed, distractors=texts) for texts in (8, 64)}
    return {"slots": by_text["8 texts"], **by_text}


@claim(
    "recall/a-fact-outlasts-other-text",
    "With slots to spare, more than 85 % of facts are recalled, both if 32 contexts came after them and if they were "
    "read last.",
    arms=ON,
    derived=("0 later", "32 later"),
    contrasts=[Contrast(f"{lag} later", over=0.85, **EXACT) for lag in (0, 32)],
    source=f"{NEW}. Four facts in eight slots, and 64 contexts of other text. With all 64 after it, a fact is lost "
    "more often: recall/lag, a sweep",
    figures=[lag],
)
def test_a_fact_outlasts_other_text(arms, seed):
    how = {"facts": 4, "distractors": 64, "asked": 1}
    by_lag = {f"{lag} later": recalled(arms["slots"], seed, lag=lag, **how) for lag in (0, 32)}
    return {"slots": by_lag["0 later"], **by_lag}


@claim(
    "recall/slopes-of-other-text-and-lag",
    "Contexts of other text lower the exact match of eight slots with eight facts; with four facts, every 64 of them "
    "cost less than a tenth; and with four facts among 64 contexts, every 64 contexts after a fact, measured up to "
    "48, cost less than a tenth.",
    arms=ON,
    derived=("other text, eight facts", "other text, four facts", "lag, four facts"),
    contrasts=[
        Contrast("other text, eight facts", over=0, direction="lower", **SLOPE),
        Contrast("other text, four facts", over=-0.1, **SLOPE),
        Contrast("lag, four facts", over=-0.1, **SLOPE),
    ],
    gate=True,
    source=f"{NEW}. Least squares over 0, 8, 32, 64 contexts, and over lags of 0, 16, 32, 48 among 64. The relation "
    "is not linear: what is lost is the slot that was written first, and therefore many of the facts that are followed "
    "by 60 or more other contexts: recall/lag, a sweep. In attempt 3, the claim was that more than a twentieth is "
    "lost with eight facts, as before the training was shortened; it was 0.08, and INCONCLUSIVE",
    figures=[distractors, lag],
)
def test_slopes_of_other_text_and_lag(arms, seed):
    def by_text(facts):
        return slope({n: recalled(arms["slots"], seed, facts=facts, distractors=n, count=64) for n in (0, 8, 32, 64)})

    how = {"facts": 4, "distractors": 64, "asked": 1, "count": 64}
    lags = {n: recalled(arms["slots"], seed, lag=n, **how) for n in (0, 16, 32, 48)}
    found = {
        "other text, eight facts": by_text(8),
        "other text, four facts": by_text(4),
        "lag, four facts": slope(lags),
    }
    return {"slots": found["other text, eight facts"], **found}


def slope(by_contexts):
    """Return what 64 more contexts add to exact match, by least squares."""
    return 64 * linregress(list(by_contexts), list(by_contexts.values())).slope


@claim(
    "recall/shared-cues-have-a-ceiling",
    "If two facts share a cue, at most one of them can be recalled, and on average less than one is.",
    arms=ON,
    derived=("unique", "shared"),
    contrasts=[
        Contrast("unique", over="shared", **EXACT),
        Contrast("shared", over=0.5, direction="lower", **EXACT),
    ],
    gate=True,
    source="the ceiling is 1/2. Both slots are read at once, and the completion mixes both facts",
)
def test_shared_cues_have_a_ceiling(arms, seed):
    by_cues = {name: recalled(arms["slots"], seed, shared=count) for name, count in (("unique", 1), ("shared", 2))}
    return {"slots": by_cues["unique"], **by_cues}


@claim(
    "recall/delta-rule-recalls",
    "An associative matrix that is written by the delta rule recalls more than half of eight facts; slots recall more.",
    arms={"delta": Arm(DELTA, on), "slots": Arm(SLOTS, on)},
    contrasts=[Contrast("delta", over=0.5, **EXACT), Contrast("slots", over="delta", **EXACT, assume="normal")],
    gate=True,
    source="a prototype of it recalled 0.72 of eight novel words. Its state is 16,384 numbers, that of the slots "
    "2,576. It has the settings of the slots, was not tuned itself, and takes three times as many steps",
)
def test_delta_rule_recalls(arms, facts_asked_for):
    return {name: exact_match(model, facts_asked_for) for name, model in arms.items()}
