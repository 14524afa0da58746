"""Stage B of growing.yaml: its promoted configurations, each compared with its controls."""

from memkit import staged


@staged("growing.yaml")
def test_growing(scores):
    return scores
