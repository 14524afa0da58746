"""Two claims about noise."""

import random

from memkit import Contrast, claim


@claim(
    "crowded/signal",
    "A signal is larger than noise.",
    arms=("signal", "noise"),
    contrasts=[Contrast("signal", over="noise", metric="size", bounds=(0, 1))],
)
def test_signal(seed):
    noise = random.Random(seed).uniform(0, 0.2)
    return {"signal": 0.9 - noise, "noise": noise}


@claim(
    "crowded/noise",
    "Noise is larger than other noise.",
    arms=("one", "other"),
    contrasts=[Contrast("one", over="other", metric="size", bounds=(0, 1))],
    expect="not_supported",
)
def test_noise(seed):
    draw = random.Random(seed)
    return {"one": draw.random(), "other": draw.random()}
