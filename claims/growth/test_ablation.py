"""Stage B of ablation.yaml: its promoted configurations, each compared with its controls."""

from memkit import staged


@staged("ablation.yaml")
def test_ablation(scores):
    return scores
