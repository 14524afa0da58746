"""Claims about scikit-learn models that the tests fit themselves; the seed determines the split and the models."""

import pytest
from sklearn.datasets import load_digits
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import train_test_split
from sklearn.tree import DecisionTreeClassifier

from memkit import Contrast, claim


@pytest.fixture
def split(seed):
    """Return the digits, split into one half for training and one for testing."""
    images, labels = load_digits(return_X_y=True)
    return train_test_split(images, labels, test_size=0.5, random_state=seed, stratify=labels)


def accuracy(model, split):
    """Fit a model on the training half, and return its accuracy on the test half."""
    learnt, tested, labels, answers = split
    return model.fit(learnt, labels).score(tested, answers)


@claim(
    "trees/a-forest-beats-a-tree",
    "On 8 × 8 digits, a forest of fifty trees is more accurate than a single tree by more than five percentage points.",
    arms=["forest", "tree"],
    contrasts=[Contrast("forest", over="tree", metric="accuracy", bounds=(0, 1), margin=0.05, assume="normal")],
    source="Breiman 2001, Random forests: lower error than single trees on every data set of his table 2",
    gate=True,
)
def test_a_forest_beats_a_tree(split, seed):
    return {
        "forest": accuracy(RandomForestClassifier(50, random_state=seed), split),
        "tree": accuracy(DecisionTreeClassifier(random_state=seed), split),
    }


@claim(
    "trees/depth-three-is-enough",
    "Trees of depth three are at most two percentage points less accurate than trees of unlimited depth.",
    arms=["shallow", "deep"],
    contrasts=[Contrast("shallow", over="deep", metric="accuracy", bounds=(0, 1), margin=-0.02, assume="normal")],
    expect="refuted",
    gate=True,
)
def test_depth_three_is_enough(split, seed):
    return {
        "shallow": accuracy(DecisionTreeClassifier(max_depth=3, random_state=seed), split),
        "deep": accuracy(DecisionTreeClassifier(random_state=seed), split),
    }
