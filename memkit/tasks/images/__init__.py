"""Classification of images: handwritten digits and clothes."""

from memkit.tasks.images.classification import Classification, Split

__all__ = ["Classification", "Split"]
