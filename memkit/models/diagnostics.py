"""The effect of a memory on a set of examples: the same weights with and without the memory, example by example.

    Δ = loss with memory − loss without memory   helped: Δ < −0.01    harmed: Δ > 0.01    strongly: |Δ| > 0.2 (nats)
    flipped                                      the memory changes the predicted class
    purity                                       the share of an example's neighbours, by weight, that have its class
    agreement                                    the nearest neighbour has the example's class
    magnitude                                    ‖h' − h‖₂
    ECE = Σ_b n_b/N · |accuracy_b − confidence_b|        over 15 bins of equal width (Guo et al. 2017, equation 3)

A diagnosis does not change the memory.
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
"""The largest change of the loss, in nats, that counts as neither help nor harm."""
STRONG = 0.2
_CHUNK = 2048

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class Diagnosis:
    """The effect of a memory on each of N examples; arrays [N] unless stated otherwise.

    Attributes:
        label: the class.
        predicted_off, confidence_off, loss_off: without the memory; losses in nats.
        predicted_on, confidence_on, loss_on: with the memory.
        gate: α.
        magnitude: ‖h' − h‖₂.
        purity, agreement, distance: of the neighbours; the distance is their mean.
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
        """Return the arrays [N] by name, without those of the memory's entries (``ages`` and ``uses``)."""
        return {f.name: getattr(self, f.name) for f in fields(self) if f.name not in ("ages", "uses")}

    def summary(self) -> dict[str, float]:
        """Return the means by the names used in reports; shares are from 0 to 1, losses in nats."""
        change = self.loss_on - self.loss_off
        correct_off, correct_on = self.predicted_off == self.label, self.predicted_on == self.label
        quantities = {
            "accuracy off": correct_off,
            "accuracy on": correct_on,
            "loss off": self.loss_off,
            "loss on": self.loss_on,
            "helped": change < -NEUTRAL,
            "harmed": change > NEUTRAL,
            "neutral": np.abs(change) <= NEUTRAL,
            "strongly helped": change < -STRONG,
            "strongly harmed": change > STRONG,
            "flipped": self.predicted_on != self.predicted_off,
            "flipped to right": correct_on & ~correct_off,
            "flipped to wrong": correct_off & ~correct_on,
            "purity": self.purity,
            "agreement": self.agreement,
            "distance": self.distance,
            "gate": self.gate,
            "magnitude": self.magnitude,
        }
        means = {name: float(np.mean(values)) for name, values in quantities.items()}
        means["ECE off"] = calibration_error(self.confidence_off, correct_off)
        means["ECE on"] = calibration_error(self.confidence_on, correct_on)
        return means

    def by_class(self, classes: int) -> dict[str, list[float]]:
        """Return precision, recall and F1 of each class, without and with the memory; 0 where undefined."""
        from sklearn.metrics import precision_recall_fscore_support

        table: dict[str, list[float]] = {}
        for state, predicted in (("off", self.predicted_off), ("on", self.predicted_on)):
            scores = precision_recall_fscore_support(
                self.label, predicted, labels=range(classes), zero_division=0, average=None
            )
            for name, values in zip(("precision", "recall", "F1"), scores[:3], strict=True):
                table[f"{name} {state}"] = values.tolist()
        return table

    def confusion(self, classes: int, *, memory: bool = True) -> Ints:
        """Return the confusion matrix [classes, classes]: rows are labels, columns are predictions."""
        from sklearn.metrics import confusion_matrix

        counts: Ints = confusion_matrix(
            self.label, self.predicted_on if memory else self.predicted_off, labels=range(classes)
        )
        return counts

    def reliability(self, *, memory: bool = True) -> list[tuple[float, float]]:
        """Return the mean confidence and the accuracy of each bin that contains an example."""
        confidence = self.confidence_on if memory else self.confidence_off
        correct = (self.predicted_on if memory else self.predicted_off) == self.label
        bins = _bins(confidence)
        return [(float(confidence[bins == b].mean()), float(correct[bins == b].mean())) for b in np.unique(bins)]


def diagnose(model: IntervenedNetwork, examples: tuple[Tensor, Tensor]) -> Diagnosis:
    """Return the diagnosis of a model of one seed on images [N, H, W] and labels [N].

    If the memory is not used in inference, the neighbours are those that it would retrieve, and its effect is 0.
    """
    inputs, labels = examples
    effects = [model.measure_effect(part.unsqueeze(0)) for part in torch.split(inputs, _CHUNK)]
    is_applied = model.settings.use in ("both", "inference")
    off, on = (torch.cat([getattr(effect, name)[0] for effect in effects]).double() for name in ("off", "on"))
    on = on if is_applied else off
    neighbours = torch.cat([effect.labels[0] for effect in effects])
    weights, distances = (
        torch.cat([getattr(effect.retrieved, name)[0] for effect in effects]).double()
        for name in ("weights", "distances")
    )
    same_class = (neighbours == labels.unsqueeze(1)).double()
    is_neighbour = distances.isfinite()
    nearest = distances.argmin(1, keepdim=True)
    present = model.memory.present[0]

    def to_array(tensor: Tensor) -> Floats:
        numbers: Floats = tensor.double().numpy()
        return numbers

    def predictions(logits: Tensor) -> tuple[Ints, Floats, Floats]:
        log_probabilities = torch.log_softmax(logits, -1)
        best = log_probabilities.max(-1)
        return (
            best.indices.numpy(),
            to_array(best.values.exp()),
            to_array(-log_probabilities.gather(1, labels.unsqueeze(1))[:, 0]),
        )

    predicted_off, confidence_off, loss_off = predictions(off)
    predicted_on, confidence_on, loss_on = predictions(on)
    return Diagnosis(
        label=labels.numpy(),
        predicted_off=predicted_off,
        predicted_on=predicted_on,
        confidence_off=confidence_off,
        confidence_on=confidence_on,
        loss_off=loss_off,
        loss_on=loss_on,
        gate=to_array(is_applied * torch.cat([effect.gate[0] for effect in effects])),
        magnitude=to_array(is_applied * torch.cat([effect.magnitude[0] for effect in effects])),
        purity=to_array((weights * same_class).sum(1)),
        agreement=to_array((same_class * is_neighbour).gather(1, nearest)[:, 0]),
        distance=to_array(torch.where(is_neighbour, distances, 0.0).sum(1) / is_neighbour.sum(1).clamp(min=1)),
        ages=model.memory.ages[0][present].numpy(),
        uses=model.memory.uses[0][present].numpy(),
    )


def calibration_error(confidence: Floats, correct: NDArray[np.bool_]) -> float:
    """Return the expected calibration error, 0 to 1, of confidences [N] and correctness [N]."""
    bins = _bins(confidence)
    gaps = [abs(float((correct[bins == b] - confidence[bins == b]).sum())) for b in np.unique(bins)]
    return sum(gaps) / len(confidence)


def expected_calibration_error(model: nn.Module, examples: tuple[Tensor, Tensor]) -> float:
    """Return the expected calibration error of a model of one seed on images [N, H, W] and labels [N]."""
    with torch.inference_mode():
        logits = torch.cat([model(part.unsqueeze(0))[0] for part in torch.split(examples[0], _CHUNK)])
    best = torch.softmax(logits.double(), -1).max(-1)
    return calibration_error(best.values.numpy(), (best.indices == examples[1]).numpy())


def cpu_seconds_per_image(model: nn.Module, inputs: Tensor) -> float:
    """Return the CPU seconds per image that a model of one seed takes for images [N, H, W], on this machine."""
    with torch.inference_mode():
        model(inputs.unsqueeze(0))
        started = time.process_time()
        model(inputs.unsqueeze(0))
        return (time.process_time() - started) / len(inputs)


def _bins(confidence: Floats) -> Ints:
    """Return the bin number of each confidence; bin b is (b/15, (b+1)/15], as in the paper."""
    numbers: Ints = np.clip(np.ceil(confidence * BINS).astype(np.int64) - 1, 0, BINS - 1)
    return numbers
