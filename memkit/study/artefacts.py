"""A folder of files for every run of a study: the recipe, the scores and the predictions for each example.

::

    runs/<configuration>/<seed>/   metrics.json        the recipe, the training, the scores; a memory's effect
                                   epochs.csv          losses during training
                                   samples.csv         a row per example: validation in stage A, test in stage B
                                   memory.safetensors  the model's buffers, after the intervention
                                   growth.csv          a table that the model provides, such as that of its growth

A model provides records and tables through :class:`memkit.training.protocols.WithExampleRecords` and
:class:`~memkit.training.protocols.WithTables`.

A control may consist of changes to the promoted configuration. Its runs are then in a folder that is named after the
configuration and the control: ``wide+half``. A folder that is up to date is not written again.
"""

from __future__ import annotations

import contextlib
import csv
import io
import json
import math
import re
import shutil
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from memkit.errors import MemkitError
from memkit.evidence.evidence_file import Evidence
from memkit.files import write_whole
from memkit.source import source_digest
from memkit.store.store import Store
from memkit.study.matrix import Matrix
from memkit.study.promotion import Promotion
from memkit.study.screening import subject_key, trained_model
from memkit.study.subjects import Subject
from memkit.training.protocols import IGNORED, WithExampleRecords, WithTables
from memkit.training.scoring import examples_of, on_device_of, predictions_of
from memkit.training.trained_run import TrainedRun

FORMAT = 1
_FILE = re.compile(r"[a-z][a-z0-9_]*\.(csv|safetensors)")
_PROGRESS_INTERVAL = 10.0  # seconds between two lines of progress


@dataclass(frozen=True, kw_only=True)
class Run:
    """One trained model of a study.

    Attributes:
        stage: "screen" or "confirm".
        name: the name of its folder: a configuration, or a configuration and a control, ``wide+half``.
        content: the content of ``metrics.json``.
    """

    stage: str
    name: str
    seed: int
    folder: Path
    content: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class _PlannedRun:
    """A run whose folder is to be written.

    Attributes:
        stage, name, seed: as in :class:`Run`.
        part: the examples that it is scored on, "validation" or "test".
        scores: metric → value.
        attempt: the attempt of its claim; 0 in stage A.
    """

    stage: str
    name: str
    seed: int
    subject: Subject
    part: str
    scores: Mapping[str, float]
    attempt: int = 0


def write_runs(
    matrix: Matrix,
    promotion: Promotion,
    evidence: Evidence | None,
    store: Store,
    output: Path,
    *,
    device: str,
    notify: Callable[[str], None],
) -> list[Run]:
    """Write the folders of all runs of both stages that are not up to date, and remove the folders of other runs.

    Without the removal, runs of an earlier attempt could be mistaken for runs of this one.
    """
    planned_runs = [*_screening_runs(matrix, promotion), *_confirmation_runs(matrix, evidence)]
    runs, last_time = [], time.monotonic()
    keys: dict[tuple[str, str], str] = {}
    for number, planned in enumerate(planned_runs):
        if time.monotonic() - last_time > _PROGRESS_INTERVAL:
            last_time = time.monotonic()
            notify(f"artefacts: {number} of {len(planned_runs)} runs")
        folder = output / "runs" / planned.name / str(planned.seed)
        if (planned.name, planned.part) not in keys:
            key = subject_key(planned.subject, matrix, device=device, part=planned.part)
            model_digest = source_digest([planned.subject.recipe.model.__module__])[:8]
            keys[planned.name, planned.part] = f"{key}-{model_digest}-{FORMAT}"
        content = _write(matrix, planned, store, folder, key=keys[planned.name, planned.part], device=device)
        runs.append(Run(stage=planned.stage, name=planned.name, seed=planned.seed, folder=folder, content=content))
    current_folders = {run.folder for run in runs}
    for folder in sorted((output / "runs").glob("*/*")):
        if folder not in current_folders and (folder / "metrics.json").is_file():
            shutil.rmtree(folder)
            with contextlib.suppress(OSError):  # it contains folders of other seeds
                folder.parent.rmdir()
    return runs


def _screening_runs(matrix: Matrix, promotion: Promotion) -> Iterable[_PlannedRun]:
    """Yield the runs of stage A."""
    for entrant in promotion.entrants:
        subject = matrix.configurations[entrant.name]
        for seed, scores in entrant.scores.items():
            yield _PlannedRun(
                stage="screen", name=entrant.name, seed=seed, subject=subject, part="validation", scores=scores
            )


def _confirmation_runs(matrix: Matrix, evidence: Evidence | None) -> Iterable[_PlannedRun]:
    """Yield the measured runs of stage B, each of them once, although claims share controls."""
    yielded: set[tuple[str, int]] = set()
    for entry in evidence.claims if evidence else ():
        name = entry.claim.id.rpartition("/")[2]
        if f"{matrix.study}/{name}" != entry.claim.id or name not in matrix.configurations:
            continue
        if unknown := [arm for arm in entry.claim.arms if arm != name and arm not in matrix.controls]:
            raise MemkitError(
                f"the evidence of {entry.claim.id} has an arm {unknown[0]!r}, which is not a control of "
                f"{matrix.path.name}; run the study again"
            )
        for arm in entry.claim.arms:
            run_name = matrix.run_name(arm, name)
            subject = matrix.configurations[name] if arm == name else matrix.control(arm, name)
            for seed in entry.observed_seeds:
                if (run_name, seed) not in yielded:
                    yielded.add((run_name, seed))
                    scores = {o.metric: o.value for o in entry.observations if (o.seed, o.arm) == (seed, arm)}
                    yield _PlannedRun(
                        stage="confirm",
                        name=run_name,
                        seed=seed,
                        subject=subject,
                        part="test",
                        scores=scores,
                        attempt=entry.registration.attempt,
                    )


def _write(
    matrix: Matrix, planned: _PlannedRun, store: Store, folder: Path, *, key: str, device: str
) -> Mapping[str, Any]:
    """Write the folder of a run unless it is up to date, and return the content of ``metrics.json``.

    Args:
        key: identifies the code and settings that the files depend on.
    """
    scores = {metric: _plain(value) for metric, value in planned.scores.items()}
    existing = _read(folder / "metrics.json")
    if (
        existing.get("key") == key
        and existing.get("scores") == scores
        and existing.get("stage") == planned.stage
        and existing.get("attempt", 0) == planned.attempt
        and _is_complete(folder, existing.get("files"))
    ):
        return existing
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "metrics.json").unlink(missing_ok=True)  # it is written last: a folder without it is incomplete
    where = f"{matrix.path.name}: {planned.name}"
    recipe = planned.subject.recipe
    files = ["epochs.csv"]
    memory: Mapping[str, float] = {}
    with trained_model(planned.subject, planned.seed, store, device=device, where=where) as (model, run):
        _write_rows(folder / "epochs.csv", epoch_rows(run))
        if not run.diverged:
            examples = on_device_of(model, examples_of(recipe, planned.seed, planned.part, matrix.examples))
            rows, memory = sample_rows(model, examples)
            if rows:
                _write_rows(folder / "samples.csv", rows)
                files.append("samples.csv")
        if buffers := {name: buffer.detach().cpu().contiguous().clone() for name, buffer in model.named_buffers()}:
            _write_tensors(folder / "memory.safetensors", buffers)
            files.append("memory.safetensors")
        for name, table in model.tables().items() if isinstance(model, WithTables) else ():
            if table:
                _write_rows(folder / f"{name}.csv", table)
                files.append(f"{name}.csv")
        diverged, training = run.diverged, dict(run.metrics)
    content: dict[str, Any] = {
        "study": matrix.study,
        "stage": planned.stage,
        "configuration": planned.name,
        "seed": planned.seed,
        **({"attempt": planned.attempt} if planned.stage == "confirm" else {}),
        "examples": planned.part,
        "recipe": recipe.to_json(),
        "after": planned.subject.settings.get("after"),
        "tuning": recipe.tuning,
        "digest": recipe.digest,
        "environment": store.made(recipe.digest, planned.seed),
        "training": {name: _plain(value) for name, value in training.items()},
        "diverged": diverged,
        "scores": scores,
        **({"memory": {name: _plain(value) for name, value in memory.items()}} if memory else {}),
        "files": files,
        "key": key,
    }
    text = json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    write_whole(folder / "metrics.json", text)
    written: Mapping[str, Any] = json.loads(text)
    return written


def _is_complete(folder: Path, files: Any) -> bool:
    """Return whether ``files`` is a list of valid names of files that exist in the folder."""
    return isinstance(files, list) and all(
        isinstance(name, str) and _FILE.fullmatch(name) and (folder / name).is_file() for name in files
    )


def epoch_rows(run: TrainedRun) -> list[dict[str, Any]]:
    """Return rows of step, training loss, validation loss and validation accuracy.

    A step can have two rows, with validation before and after a model grew.
    """
    history = dict(run.history)
    validations: dict[int, list[dict[str, Any]]] = {}
    for step, loss, accuracy in run.validation:
        validations.setdefault(step, []).append({"validation_loss": loss, "validation_accuracy": accuracy})
    rows: list[dict[str, Any]] = []
    for step in sorted({*history, *validations}):
        first, *others = validations.get(step) or [{"validation_loss": "", "validation_accuracy": ""}]
        rows.append({"step": step, "loss": history.get(step, "")} | first)
        rows += [{"step": step, "loss": ""} | other for other in others]
    return rows


def sample_rows(model: nn.Module, examples: tuple[Tensor, Tensor]) -> tuple[list[dict[str, Any]], dict[str, float]]:
    """Return a row per target, except ignored targets, and the model's summary of its examples.

    Returns:
        The rows and the summary that the model provides (:class:`WithExampleRecords`). For other models the summary is
        empty; the rows give label, prediction, confidence and loss for classifiers, and are empty for others.
    """
    if isinstance(model, WithExampleRecords):
        model.cpu()
        records = model.example_records(examples[0].cpu(), examples[1].cpu())
        return _rows(records.columns), dict(records.summary)
    try:
        predictions = predictions_of(model, examples)
    except MemkitError:  # the model is not a classifier
        return [], {}
    columns = {
        "example": predictions.example.tolist(),
        "label": predictions.label.tolist(),
        "prediction": predictions.prediction.tolist(),
        "confidence": predictions.confidence.tolist(),
        "loss": predictions.loss.tolist(),
    }
    if examples[1].dim() > 1:
        targets = examples[1]
        positions = torch.arange(targets[0].numel(), device=targets.device).expand(len(targets), -1)
        columns["place"] = positions.reshape(-1)[targets.flatten() != IGNORED].tolist()
    return _rows(columns), {}


def _rows(columns: Mapping[str, Sequence[Any]]) -> list[dict[str, Any]]:
    """Return columns of equal length as rows."""
    return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]


def _write_rows(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write rows as CSV, with a column for every key that occurs in a row."""
    columns = list(dict.fromkeys(name for row in rows for name in row))
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, columns, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: _cell(value) for name, value in row.items()} for row in rows)
    write_whole(path, text.getvalue())


def _cell(value: Any) -> Any:
    """Return a float as a text with seven significant digits, the precision of float32; other values unchanged."""
    return f"{value:.7g}" if isinstance(value, float) else value


def _write_tensors(path: Path, tensors: Mapping[str, Tensor]) -> None:
    from safetensors.torch import save

    write_whole(path, save(dict(tensors)))


def _read(path: Path) -> dict[str, Any]:
    """Return the JSON object in a file, or {} if there is none."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _plain(value: Any) -> Any:
    """Return a value, or None for a float that is not finite."""
    return None if isinstance(value, float) and not math.isfinite(value) else value
