"""The effect of a memory on a whole set of examples: the same weights with it and without it, example by example.

    Δ = loss with memory − loss without it       helped: Δ < −neutral    harmed: Δ > neutral    strongly: |Δ| > 0.2
    flip                                         the predicted class with the memory differs from that without
    purity                                       the share of a query's neighbours, by weight, that are of its class
    agreement                                    the nearest neighbour is of the query's class
    magnitude                                    ‖h' − h‖₂
    ECE = Σ_b n_b/N · |accuracy_b − confidence_b|        over 15 bins of equal width (Guo et al. 2017, equation 3)

Diagnosis leaves the memory unchanged.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from memkit.models.intervened import IntervenedNetwork

BINS = 15
NEUTRAL = 0.01
"""nats: a smaller change of the loss is neither help nor harm."""
STRONG = 0.2
_CHUNK = 2048

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class Diagnosis:
    """Example by example; arrays [N].

    Attributes:
        label: the class.
        predicted_off, predicted_on, confidence_off, confidence_on, loss_off, loss_on: without and with the memory.
        gate: α.
        magnitude: ‖h' − h‖₂.
        purity, agreement, distance: of the neighbours; distance is the mean over them.
        ages, uses: of the entries of the memory, [n].
    """

    label: Ints
    predicted_off: Ints
    predicted_on: Ints
    confidence_off: Floats
    confidence_on: Floats
    loss_off: Floats
    loss_on: Floats
    gate: Floats
    magnitude: Floats
    purity: Floats
    agreement: Floats
    distance: Floats
    ages: Ints
    uses: Ints

    def by_example(self) -> dict[str, NDArray[Any]]:
        """Return name → values [N]; the ages and uses, one for each entry of the memory, are left out."""
        return {f.name: getattr(self, f.name) for f in fields(self) if f.name not in ("ages", "uses")}

    def summary(self) -> dict[str, float]:
        """The means, by the names of the report; the shares are between 0 and 1, losses in nats."""
        change = self.loss_on - self.loss_off
        right_off, right_on = self.predicted_off == self.label, self.predicted_on == self.label
        measured = {
            "accuracy off": right_off,
            "accuracy on": right_on,
            "loss off": self.loss_off,
            "loss on": self.loss_on,
            "helped": change < -NEUTRAL,
            "harmed": change > NEUTRAL,
            "neutral": np.abs(change) <= NEUTRAL,
            "strongly helped": change < -STRONG,
            "strongly harmed": change > STRONG,
            "flipped": self.predicted_on != self.predicted_off,
            "flipped to right": right_on & ~right_off,
            "flipped to wrong": right_off & ~right_on,
            "purity": self.purity,
            "agreement": self.agreement,
            "distance": self.distance,
            "gate": self.gate,
            "magnitude": self.magnitude,
        }
        found = {name: float(np.mean(values)) for name, values in measured.items()}
        found["ECE off"] = calibration_error(self.confidence_off, right_off)
        found["ECE on"] = calibration_error(self.confidence_on, right_on)
        return found

    def by_class(self, classes: int) -> dict[str, list[float]]:
        """Precision, recall and F1 of every class, without and with the memory; 0 where a class is never predicted."""
        from sklearn.metrics import precision_recall_fscore_support

        found: dict[str, list[float]] = {}
        for state, predicted in (("off", self.predicted_off), ("on", self.predicted_on)):
            scores = precision_recall_fscore_support(
                self.label, predicted, labels=range(classes), zero_division=0, average=None
            )
            for name, values in zip(("precision", "recall", "F1"), scores[:3], strict=True):
                found[f"{name} {state}"] = values.tolist()
        return found

    def confusion(self, classes: int, *, memory: bool = True) -> Ints:
        """Return how many examples of each class (row) were predicted as each class (column), [classes, classes]."""
        from sklearn.metrics import confusion_matrix

        counted: Ints = confusion_matrix(
            self.label, self.predicted_on if memory else self.predicted_off, labels=range(classes)
        )
        return counted

    def reliability(self, *, memory: bool = True) -> list[tuple[float, float]]:
        """Mean confidence and accuracy of every bin that holds an example."""
        confidence = self.confidence_on if memory else self.confidence_off
        right = (self.predicted_on if memory else self.predicted_off) == self.label
        bins = _bins(confidence)
        return [(float(confidence[bins == b].mean()), float(right[bins == b].mean())) for b in np.unique(bins)]


def diagnose(model: IntervenedNetwork, examples: tuple[Tensor, Tensor]) -> Diagnosis:
    """The diagnosis of a model of one seed on images [N, H, W] and labels [N].

    Of a memory that is not in use at inference, what it would find is told, and that it changes nothing.
    """
    inputs, labels = examples
    looks = [model.look(part.unsqueeze(0)) for part in torch.split(inputs, _CHUNK)]
    applied = model.settings.use in ("both", "inference")
    off, on = (torch.cat([getattr(look, name)[0] for look in looks]).double() for name in ("off", "on"))
    on = on if applied else off
    neighbours = torch.cat([look.labels[0] for look in looks])
    weights, distances = (
        torch.cat([getattr(look.retrieved, name)[0] for look in looks]).double() for name in ("weights", "distances")
    )
    same = (neighbours == labels.unsqueeze(1)).double()
    here = distances.isfinite()
    nearest = distances.argmin(1, keepdim=True)
    present = model.memory.present[0]

    def array(tensor: Tensor) -> Floats:
        numbers: Floats = tensor.double().numpy()
        return numbers

    def log_odds(logits: Tensor) -> tuple[Ints, Floats, Floats]:
        logs = torch.log_softmax(logits, -1)
        best = logs.max(-1)
        return best.indices.numpy(), array(best.values.exp()), array(-logs.gather(1, labels.unsqueeze(1))[:, 0])

    predicted_off, confidence_off, loss_off = log_odds(off)
    predicted_on, confidence_on, loss_on = log_odds(on)
    return Diagnosis(
        label=labels.numpy(),
        predicted_off=predicted_off,
        predicted_on=predicted_on,
        confidence_off=confidence_off,
        confidence_on=confidence_on,
        loss_off=loss_off,
        loss_on=loss_on,
        gate=array(applied * torch.cat([look.gate[0] for look in looks])),
        magnitude=array(applied * torch.cat([look.magnitude[0] for look in looks])),
        purity=array((weights * same).sum(1)),
        agreement=array((same * here).gather(1, nearest)[:, 0]),
        distance=array(torch.where(here, distances, 0.0).sum(1) / here.sum(1).clamp(min=1)),
        ages=model.memory.ages[0][present].numpy(),
        uses=model.memory.uses[0][present].numpy(),
    )


def calibration_error(confidence: Floats, right: NDArray[np.bool_]) -> float:
    """The expected calibration error over 15 bins of equal width: confidences [N], right or not [N] → 0 to 1."""
    bins = _bins(confidence)
    gaps = [abs(float((right[bins == b] - confidence[bins == b]).sum())) for b in np.unique(bins)]
    return sum(gaps) / len(confidence)


def expected_calibration_error(model: nn.Module, examples: tuple[Tensor, Tensor]) -> float:
    """The expected calibration error of a model of one seed on images [N, H, W] and labels [N]."""
    with torch.inference_mode():
        logits = torch.cat([model(part.unsqueeze(0))[0] for part in torch.split(examples[0], _CHUNK)])
    best = torch.softmax(logits.double(), -1).max(-1)
    return calibration_error(best.values.numpy(), (best.indices == examples[1]).numpy())


def seconds_an_image(model: nn.Module, inputs: Tensor) -> float:
    """CPU seconds that a model of one seed takes for an image of [N, H, W]; a figure of this machine, not a result."""
    with torch.inference_mode():
        model(inputs.unsqueeze(0))
        started = time.process_time()
        model(inputs.unsqueeze(0))
        return (time.process_time() - started) / len(inputs)


def _bins(confidence: Floats) -> Ints:
    """The bin of a confidence: (b/15, (b+1)/15], as in the paper."""
    numbers: Ints = np.clip(np.ceil(confidence * BINS).astype(np.int64) - 1, 0, BINS - 1)
    return numbers
