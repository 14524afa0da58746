"""Diagnoses against counts by hand, tables of scikit-learn and published definitions."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import f1_score
from torch import Tensor

from memkit.models.diagnostics import (
    BINS,
    Diagnosis,
    calibration_error,
    cpu_seconds_per_image,
    diagnose,
    expected_calibration_error,
)
from memkit.models.intervened import IntervenedNetwork
from memkit.models.intervened_settings import Intervention
from memkit.training.streams import generator


def model(**settings: object) -> IntervenedNetwork:
    options = Intervention(
        **{"capacity": 30, "k": 4, "affected": None, "mode": "residual", "step_size": 9.0, **settings}
    )  # type: ignore[arg-type]
    net = IntervenedNetwork(
        generators=[generator(0, "initial values")],
        inputs=(4, 4),
        classes=3,
        widths=(12, 6),
        intervention=options.to_json(),
    ).eval()
    net.remember(*(part.unsqueeze(0) for part in images(40, "stored")))
    return net


def images(count: int, name: str) -> tuple[Tensor, Tensor]:
    g = generator(0, name)
    return torch.rand(count, 4, 4, generator=g), torch.randint(3, (count,), generator=g)


@pytest.fixture(scope="module")
def diagnosis() -> Diagnosis:
    return diagnose(model(), images(50, "asked"))


def test_shares_add_up(diagnosis: Diagnosis) -> None:
    summary = diagnosis.summary()
    assert summary["helped"] + summary["harmed"] + summary["neutral"] == pytest.approx(1)
    assert summary["strongly helped"] <= summary["helped"]
    assert summary["strongly harmed"] <= summary["harmed"]
    moved = summary["flipped to right"] - summary["flipped to wrong"]
    assert summary["accuracy on"] - summary["accuracy off"] == pytest.approx(moved)
    assert summary["flipped"] >= summary["flipped to right"] + summary["flipped to wrong"]
    assert summary["flipped"] > 0


def test_a_diagnosis_agrees_with_the_model(diagnosis: Diagnosis) -> None:
    net, (pixels, labels) = model(), images(50, "asked")
    logits = net(pixels.unsqueeze(0))[0]
    assert diagnosis.predicted_on.tolist() == logits.argmax(-1).tolist()
    assert diagnosis.predicted_off.tolist() == net.network(pixels.unsqueeze(0))[0].argmax(-1).tolist()
    assert np.allclose(diagnosis.loss_on, torch.nn.functional.cross_entropy(logits, labels, reduction="none").detach())
    summary = net.measure_effect(pixels.unsqueeze(0))
    own = summary.labels[0] == labels.unsqueeze(1)
    assert np.allclose(diagnosis.purity, (summary.retrieved.weights[0] * own).sum(1))
    assert np.allclose(diagnosis.agreement, own[:, 0].double())
    assert np.allclose(diagnosis.distance, summary.retrieved.distances[0].mean(1))


def test_an_unused_memory_is_diagnosed_without_effect(diagnosis: Diagnosis) -> None:
    idle = diagnose(model(use="never"), images(50, "asked"))
    summary = idle.summary()
    assert (summary["magnitude"], summary["gate"], summary["flipped"]) == (0, 0, 0)
    assert summary["accuracy on"] == summary["accuracy off"] == diagnosis.summary()["accuracy off"]
    assert summary["purity"] == diagnosis.summary()["purity"] > 0


def test_an_empty_memory_has_no_effect() -> None:
    net = model()
    net.memory.clear()
    diagnosis = diagnose(net, images(50, "asked"))
    summary = diagnosis.summary()
    assert (summary["flipped"], summary["neutral"], summary["magnitude"]) == (0, 1, 0)
    assert (summary["purity"], summary["agreement"], summary["distance"]) == (0, 0, 0)
    assert len(diagnosis.ages) == 0


def test_diagnosis_does_not_change_the_model() -> None:
    net = model(eviction="helpfulness")
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    diagnose(net, images(50, "asked"))
    assert all(torch.equal(before[name], tensor) for name, tensor in net.state_dict().items())


def test_tables_by_class(diagnosis: Diagnosis) -> None:
    scores = diagnosis.by_class(3)
    assert set(scores) == {f"{name} {state}" for name in ("precision", "recall", "F1") for state in ("off", "on")}
    assert scores["F1 on"] == pytest.approx(
        f1_score(diagnosis.label, diagnosis.predicted_on, average=None, labels=[0, 1, 2])
    )
    counts = diagnosis.confusion(3)
    assert counts.sum() == 50
    assert np.trace(counts) / 50 == pytest.approx(diagnosis.summary()["accuracy on"])
    assert diagnosis.confusion(3, memory=False).sum(1).tolist() == counts.sum(1).tolist()


def test_calibration_error_by_hand() -> None:
    confidence = np.array([0.95, 0.95, 0.95, 0.95, 0.55, 0.55])
    right = np.array([True, True, True, False, True, False])
    assert calibration_error(confidence, right) == pytest.approx(4 / 6 * 0.20 + 2 / 6 * 0.05)


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=60))
def test_calibration_error_is_the_sum_over_bins(pairs: list[tuple[float, bool]]) -> None:
    confidence, right = (np.array(column) for column in zip(*pairs, strict=True))
    expected = 0.0
    for b in range(BINS):
        low, high = b / BINS, (b + 1) / BINS
        inside = [(c, r) for c, r in pairs if low < c <= high or (b == 0 and c == 0)]
        if inside:
            gap = sum(r for _, r in inside) - sum(c for c, _ in inside)
            expected += abs(gap) / len(pairs)
    # Rounding may put a confidence at the edge of two bins into either; such examples are left out.
    if not any(abs(c * BINS - round(c * BINS)) < 1e-9 for c, _ in pairs):
        assert calibration_error(confidence, right.astype(bool)) == pytest.approx(expected)
    assert 0 <= calibration_error(confidence, right.astype(bool)) <= 1


def test_the_calibration_error_of_a_model_is_that_of_its_diagnosis(diagnosis: Diagnosis) -> None:
    net, examples = model(), images(50, "asked")
    summary = diagnosis.summary()
    assert expected_calibration_error(net, examples) == pytest.approx(summary["ECE on"], abs=1e-6)
    assert expected_calibration_error(net.network, examples) == pytest.approx(summary["ECE off"], abs=1e-6)


def test_reliability_values_lie_in_their_bins(diagnosis: Diagnosis) -> None:
    points = diagnosis.reliability()
    assert all(0 <= x <= 1 and 0 <= y <= 1 for x, y in points)
    assert [x for x, _ in points] == sorted(x for x, _ in points)


def test_seconds_an_image_times_the_second_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([3.0, 8.0])
    monkeypatch.setattr("memkit.models.diagnostics.time.process_time", lambda: next(clock))
    passes = []
    counted = model()
    counted.register_forward_hook(lambda *_: passes.append(1))
    assert cpu_seconds_per_image(counted, images(50, "asked")[0]) == pytest.approx(5 / 50)
    assert len(passes) == 2
