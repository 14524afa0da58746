"""Capacity: recall by the number of facts and slots, of other text, after later contexts, and with shared cues."""

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
    "Eight slots recall as many facts as there is room for: all but a twentieth of eight, and of K more the share 8/K, "
    "to within 0.15.",
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
    "Eight facts in eight slots, among 64 contexts of other text: more than half are still recalled, but fewer than "
    "among eight contexts.",
    arms=ON,
    derived=("8 texts", "64 texts"),
    contrasts=[Contrast("64 texts", over=0.5, **EXACT), Contrast("8 texts", over="64 texts", **EXACT, assume="normal")],
    gate=True,
    source=f"{NEW}. No context is ignored quite: each takes a little from the slot that was written first",
    figures=[distractors],
)
def test_other_text_wears_full_slots(arms, seed):
    by_text = {f"{texts} texts": recalled(arms["slots"], seed, distractors=texts) for texts in (8, 64)}
    return {"slots": by_text["8 texts"], **by_text}


@claim(
    "recall/a-fact-outlasts-other-text",
    "With slots left, more than 85 of 100 facts are recalled, when 32 contexts came after them as when they were read "
    "last.",
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
    "With contexts of other text, eight slots lose exact match with eight facts, and for every 64 of them less than "
    "a tenth with four; and of four facts less than a tenth for every 64 contexts that come after a fact, among 64 and "
    "up to 48 of them.",
    arms=ON,
    derived=("other text, eight facts", "other text, four facts", "lag, four facts"),
    contrasts=[
        Contrast("other text, eight facts", over=0, direction="lower", **SLOPE),
        Contrast("other text, four facts", over=-0.1, **SLOPE),
        Contrast("lag, four facts", over=-0.1, **SLOPE),
    ],
    gate=True,
    source=f"{NEW}. Least squares over 0, 8, 32, 64 contexts, and over lags of 0, 16, 32, 48 among 64. Not a line: "
    "what is lost is the slot that was written first, so of facts that are read before 60 and more others many are "
    "lost: recall/lag, a sweep. In attempt 3 more than a twentieth was to be lost with eight facts, as before the "
    "training was shortened; it was 0.08, and INCONCLUSIVE",
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
    "Where two facts have one cue, one of them at most can be recalled, and less than one of them is.",
    arms=ON,
    derived=("unique", "shared"),
    contrasts=[
        Contrast("unique", over="shared", **EXACT),
        Contrast("shared", over=0.5, direction="lower", **EXACT, assume="normal"),
    ],
    gate=True,
    source="the ceiling is 1/2. Both slots are read at once, and a mixture of both facts is said",
)
def test_shared_cues_have_a_ceiling(arms, seed):
    by_cues = {name: recalled(arms["slots"], seed, shared=count) for name, count in (("unique", 1), ("shared", 2))}
    return {"slots": by_cues["unique"], **by_cues}


@claim(
    "recall/delta-rule-recalls",
    "An associative matrix, written by the delta rule, recalls more than half of eight facts; slots recall more.",
    arms={"delta": Arm(DELTA, on), "slots": Arm(SLOTS, on)},
    contrasts=[Contrast("delta", over=0.5, **EXACT), Contrast("slots", over="delta", **EXACT, assume="normal")],
    gate=True,
    source="a prototype recalled 0.72 of eight novel words so. Its state is 16,384 numbers, that of the slots 2,576. "
    "It has the settings of the slots, was not tuned itself, and takes three times as many steps",
)
def test_delta_rule_recalls(arms, facts_asked_for):
    return {name: exact_match(model, facts_asked_for) for name, model in arms.items()}
