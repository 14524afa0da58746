"""Images and their classes: handwritten digits, clothes."""

from memkit.tasks.images.classification import Classification, Split

__all__ = ["Classification", "Split"]
