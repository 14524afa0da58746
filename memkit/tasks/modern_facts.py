"""Modern facts: true sentences about the years 2007 to 2024, written for this project.

The corpora do not contain them. The cue of a fact is its first two words; the rest is its ending.

    FACTS     24 sentences with different cues
    SHARED    12 pairs of sentences with the same cue, which is not a cue in FACTS: even with both sentences in memory,
              only one of the two endings can be right, so exact match is at most 1/2
"""

from __future__ import annotations

from memkit.errors import MemkitError

CUE = 2
"""The number of words in a cue."""

FACTS: tuple[str, ...] = (
    "Apple's iPhone first went on sale in June 2007.",
    "Bitcoin's first block was mined in January 2009.",
    "Pokemon Go sent walkers into the parks in 2016.",
    "Brexit took Britain out of the union in 2020.",
    "Curiosity landed on Mars in August 2012.",
    "Ingenuity flew over Mars like a tiny helicopter.",
    "AlphaGo beat Lee Sedol at the game of go in Seoul.",
    "Greta Thunberg began her school strike in 2018.",
    "ChatGPT was opened to the public in November 2022.",
    "WhatsApp was bought by Facebook in 2014.",
    "Twitter was sold to Elon Musk for 44 billion dollars.",
    "Barack Obama took office in January 2009.",
    "Angela Merkel left the chancellery in December 2021.",
    "Usain Bolt ran 100 metres in 9.58 seconds in Berlin.",
    "Voyager 1 crossed into interstellar space in 2012.",
    "New Horizons flew past Pluto in July 2015.",
    "Rosetta's lander Philae touched a comet in 2014.",
    "LIGO heard two black holes merge in September 2015.",
    "Higgs bosons were found at CERN in July 2012.",
    "Notre-Dame burned in Paris in April 2019.",
    "Ever Given blocked the Suez Canal for six days.",
    "Queen Elizabeth died at Balmoral in September 2022.",
    "Croatia adopted the euro in January 2023.",
    "South Sudan became a country in July 2011.",
)

SHARED: tuple[tuple[str, str], ...] = (
    ("Donald Trump won the election of 2016.", "Donald Trump lost the election of 2020."),
    ("Joe Biden took office in January 2021.", "Joe Biden withdrew from the race in July 2024."),
    ("Google Chrome appeared as a browser in 2008.", "Google Chrome came to Android phones in 2012."),
    ("Chile's miners were trapped in August 2010.", "Chile's miners were brought up after 69 days."),
    ("Lionel Messi won the World Cup in Qatar in 2022.", "Lionel Messi joined Inter Miami in July 2023."),
    ("Malala Yousafzai was shot on a bus in 2012.", "Malala Yousafzai won the Nobel Peace Prize in 2014."),
    ("Tesla's Roadster first reached customers in 2008.", "Tesla's Roadster was sent into space in 2018."),
    ("Boris Johnson moved to Downing Street in July 2019.", "Boris Johnson announced his resignation in 2022."),
    ("Iceland's banks failed within a week in 2008.", "Iceland's banks were taken over by the state."),
    ("Perseverance landed in a crater on Mars in 2021.", "Perseverance landed with a helicopter under it."),
    ("Windows 7 was released in October 2009.", "Windows 7 lost its support in January 2020."),
    ("Paris hosted the climate talks of December 2015.", "Paris hosted the summer games of 2024."),
)


def cue(sentence: str) -> str:
    """Return the first two words of a sentence, with the blank after them.

    Raises:
        MemkitError: the sentence has fewer than three words.
    """
    return split(sentence)[0]


def ending(sentence: str) -> str:
    """Return the part of a sentence after its cue."""
    return split(sentence)[1]


def split(sentence: str) -> tuple[str, str]:
    """Return the cue and the ending of a sentence."""
    words = sentence.split(" ", CUE)
    if len(words) <= CUE or not all(words):
        raise MemkitError(f"{sentence!r} has no ending after its first two words; write three words or more")
    return " ".join(words[:CUE]) + " ", words[CUE]
