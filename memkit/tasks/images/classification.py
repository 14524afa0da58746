"""Classification of images from a data set of fixed size.

    input     pixels between 0 and 1 [H, W]
    label     the class, 0 to 9

The test images are the same for every seed: a claim about them is conditional on this test set. They are a fixed random
part of the whole data set; for MNIST they are not the official test set, so accuracies are not comparable with
published ones. The other images are split into training and validation images anew for every seed. Batches run through
the training images in epochs, in a new order each time; a batch that reaches the end of an epoch continues with the
next one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from memkit.checks import is_whole
from memkit.errors import MemkitError
from memkit.tasks.images import datasets

Examples = tuple[Tensor, Tensor]
"""Pixels [N, H, W] and labels [N]."""
CLASSES = 10


class Split(NamedTuple):
    """The training, validation and test examples of a data set.

    >>> from memkit.tasks.images import Split
    >>> import torch
    >>> digit = torch.zeros(1, 8, 8), torch.tensor([3])
    >>> split = Split(train=digit, validation=digit, test=digit)
    >>> split.test[1].tolist()
    [3]
    """

    train: Examples
    validation: Examples
    test: Examples


class Epochs:
    """A sampler that draws each example once per epoch; its length is the number of examples in an epoch.

    Attributes:
        validation, test: examples that are never drawn; None if there are no test examples.
    """

    def __init__(self, examples: Examples, validation: Examples, test: Examples | None = None) -> None:
        self._pixels, self._labels = examples
        if not len(self._labels):
            raise MemkitError("Epochs: there are no examples to draw; give one or more")
        self.validation, self.test = validation, test
        self._remaining = torch.empty(0, dtype=torch.int64)

    def __len__(self) -> int:
        return len(self._labels)

    def __call__(self, generator: torch.Generator, size: int) -> Examples:
        """Return the next ``size`` examples."""
        while len(self._remaining) < size:
            self._remaining = torch.cat([self._remaining, torch.randperm(len(self._labels), generator=generator)])
        chosen, self._remaining = self._remaining[:size], self._remaining[size:]
        return self._pixels[chosen], self._labels[chosen]


@dataclass(frozen=True)
class Classification:
    """The task of predicting the classes of images.

    Attributes:
        dataset: the name of a data set, see :mod:`memkit.tasks.images.datasets`.
        train, validation, test: the number of images in each part.
        classes: the classes to train on; images of other classes occur only in the test part. None: all classes.

    >>> from memkit import generator
    >>> from memkit.tasks.images import Classification
    >>> task = Classification(dataset="digits", train=1000, validation=200, test=597)
    >>> task.sizes
    {'inputs': (8, 8), 'classes': 10}
    >>> pixels, labels = task.split(generator(1, "split")).train
    >>> pixels.shape, labels.shape
    (torch.Size([1000, 8, 8]), torch.Size([1000]))
    """

    dataset: str = "digits"
    train: int = 1000
    validation: int = 200
    test: int = 597
    classes: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        for name in ("train", "validation", "test"):
            value = getattr(self, name)
            if not is_whole(value, 1):
                raise MemkitError(f"Classification: {name}={value!r} must be a positive whole number of images")
        size = datasets.size(self.dataset)
        if self.train + self.validation + self.test > size:
            raise MemkitError(
                f"Classification: {self.train} + {self.validation} + {self.test} images are more than the {size} of "
                f"{self.dataset!r}; take fewer"
            )
        if self.classes is not None:
            classes = tuple(sorted(set(self.classes)))
            if not classes or not all(isinstance(c, int) and 0 <= c < CLASSES for c in classes):
                raise MemkitError(f"Classification: classes={self.classes!r} must be numbers from 0 to {CLASSES - 1}")
            object.__setattr__(self, "classes", classes)

    @property
    def sizes(self) -> dict[str, Any]:
        """The keyword arguments that every model of the task takes."""
        return {"inputs": datasets.shape(self.dataset), "classes": CLASSES}

    @property
    def checksum(self) -> str:
        """The checksum of the data set."""
        return datasets.checksum(self.dataset)

    @property
    def missing(self) -> str:
        """One sentence on how to get the data set if it is not on this machine, else ""."""
        return datasets.missing(self.dataset)

    def split(self, generator: torch.Generator) -> Split:
        """Return the parts of the data set, with all classes; the generator draws training and validation images."""
        pixels, labels = datasets.load(self.dataset)
        fixed_order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(0))
        rest = fixed_order[: -self.test]
        rest = rest[torch.randperm(len(rest), generator=generator)]
        parts = (rest[: self.train], rest[self.train : self.train + self.validation], fixed_order[-self.test :])
        train, validation, test = ((pixels[part], labels[part]) for part in parts)
        return Split(train, validation, test)

    def for_seed(self, generator: torch.Generator) -> Callable[[torch.Generator, int], Examples]:
        """Return the sampler of a seed's training batches.

        Its ``validation`` images are of the classes that are trained on; its ``test`` images are of all classes.
        """
        split = self.split(generator)
        return Epochs(self.of_classes(split.train), self.of_classes(split.validation), split.test)

    def of_classes(self, examples: Examples) -> Examples:
        """Return the examples of the classes that are trained on."""
        return examples if self.classes is None else among(examples, self.classes)


def among(examples: Examples, classes: tuple[int, ...]) -> Examples:
    """Return the examples of some classes."""
    pixels, labels = examples
    chosen = torch.isin(labels, torch.tensor(classes))
    return pixels[chosen], labels[chosen]


def few(examples: Examples, each: int, generator: torch.Generator) -> Examples:
    """Return ``each`` examples of every class that occurs, drawn at random, in random order.

    Raises:
        MemkitError: a class has fewer examples.
    """
    pixels, labels = examples
    order = torch.randperm(len(labels), generator=generator)
    # The number of examples of the same class before each example.
    same = labels[order].unsqueeze(1) == torch.tensor(sorted(set(labels.tolist())))
    if int(fewest := same.sum(0).min()) < each:
        raise MemkitError(f"a class has only {fewest} examples, but {each} are needed; ask for {fewest} or fewer")
    rank = (same.cumsum(0) * same).sum(1)
    chosen = order[rank <= each]
    return pixels[chosen], labels[chosen]
