"""A folder of files for every run of a study: what was trained, and what it says of each example.

::

    runs/<configuration>/<seed>/   metrics.json        the recipe, how it was trained, the scores; what a memory did
                                   epochs.csv          losses while it was trained
                                   samples.csv         a row per example: stage A's validation, stage B's test examples
                                   memory.safetensors  the model's buffers, after the intervention
                                   growth.csv          a table that the model asks for, such as that of its growth

A model itself says what it wants written down: :class:`memkit.training.protocols.WithExampleRecords` and
:class:`~memkit.training.protocols.WithTables`.

A control that is made of changes lies beside the configuration that it was made for: ``wide+half``. A folder that is as
it would be written is left as it is.
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
from memkit.study.screening import seen, subject_key
from memkit.study.subjects import Subject
from memkit.training.protocols import IGNORED, WithExampleRecords, WithTables
from memkit.training.scoring import classified, examples_of, on_device_of
from memkit.training.trained_run import TrainedRun

FORMAT = 1
_FILE = re.compile(r"[a-z][a-z0-9_]*\.(csv|safetensors)")
_QUIET = 10.0  # seconds between two lines of progress


@dataclass(frozen=True, kw_only=True)
class Run:
    """One trained model of a study.

    Attributes:
        stage: "screen" or "confirm".
        place: the configuration, or the control of one: what its folder is called.
        content: of ``metrics.json``.
    """

    stage: str
    place: str
    seed: int
    folder: Path
    content: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class _Wanted:
    stage: str
    place: str
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
    say: Callable[[str], None],
) -> list[Run]:
    """Write the folder of every run of both stages, or leave it where it is up to date; remove those of other runs.

    Otherwise the runs of an earlier attempt would lie among those of this one, and anybody might pool them.
    """
    wanted = [*_screened(matrix, promotion), *_confirmed(matrix, evidence)]
    runs, at = [], time.monotonic()
    keys: dict[tuple[str, str], str] = {}
    for number, one in enumerate(wanted):
        if time.monotonic() - at > _QUIET:
            at = time.monotonic()
            say(f"artefacts: {number} of {len(wanted)} runs")
        folder = output / "runs" / one.place / str(one.seed)
        if (one.place, one.part) not in keys:
            key = subject_key(one.subject, matrix, device=device, part=one.part)
            keys[one.place, one.part] = f"{key}-{source_digest([one.subject.recipe.model.__module__])[:8]}-{FORMAT}"
        content = _write(matrix, one, store, folder, key=keys[one.place, one.part], device=device)
        runs.append(Run(stage=one.stage, place=one.place, seed=one.seed, folder=folder, content=content))
    kept = {run.folder for run in runs}
    for old in sorted((output / "runs").glob("*/*")):
        if old not in kept and (old / "metrics.json").is_file():
            shutil.rmtree(old)
            with contextlib.suppress(OSError):  # others are left in it
                old.parent.rmdir()
    return runs


def _screened(matrix: Matrix, promotion: Promotion) -> Iterable[_Wanted]:
    for entrant in promotion.entrants:
        subject = matrix.configurations[entrant.name]
        for seed, scores in entrant.scores.items():
            yield _Wanted(
                stage="screen", place=entrant.name, seed=seed, subject=subject, part="validation", scores=scores
            )


def _confirmed(matrix: Matrix, evidence: Evidence | None) -> Iterable[_Wanted]:
    """Yield the runs of stage B that were measured, each once, although claims share controls."""
    told: set[tuple[str, int]] = set()
    for entry in evidence.claims if evidence else ():
        name = entry.claim.id.rpartition("/")[2]
        if f"{matrix.study}/{name}" != entry.claim.id or name not in matrix.configurations:
            continue
        if strange := [arm for arm in entry.claim.arms if arm != name and arm not in matrix.controls]:
            raise MemkitError(
                f"the evidence of {entry.claim.id} has an arm {strange[0]!r}, which is no control of "
                f"{matrix.path.name}; run the study again"
            )
        for arm in entry.claim.arms:
            place = matrix.place_of(arm, name)
            subject = matrix.configurations[name] if arm == name else matrix.control(arm, name)
            for seed in entry.seen:
                if (place, seed) not in told:
                    told.add((place, seed))
                    own = {o.metric: o.value for o in entry.observations if (o.seed, o.arm) == (seed, arm)}
                    yield _Wanted(
                        stage="confirm",
                        place=place,
                        seed=seed,
                        subject=subject,
                        part="test",
                        scores=own,
                        attempt=entry.registration.attempt,
                    )


def _write(matrix: Matrix, one: _Wanted, store: Store, folder: Path, *, key: str, device: str) -> Mapping[str, Any]:
    scores = {metric: _plain(value) for metric, value in one.scores.items()}
    old = _read(folder / "metrics.json")
    if (
        old.get("key") == key
        and old.get("scores") == scores
        and old.get("stage") == one.stage
        and old.get("attempt", 0) == one.attempt
        and _whole_run(folder, old.get("files"))
    ):
        return old
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "metrics.json").unlink(missing_ok=True)  # it is written last: a folder without it is not whole
    where = f"{matrix.path.name}: {one.place}"
    recipe = one.subject.recipe
    files = ["epochs.csv"]
    memory: Mapping[str, float] = {}
    with seen(one.subject, one.seed, store, device=device, where=where) as (model, run):
        _write_rows(folder / "epochs.csv", epochs(run))
        if not run.diverged:
            examples = on_device_of(model, examples_of(recipe, one.seed, one.part, matrix.examples))
            rows, memory = samples(model, examples)
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
        "stage": one.stage,
        "configuration": one.place,
        "seed": one.seed,
        **({"attempt": one.attempt} if one.stage == "confirm" else {}),
        "examples": one.part,
        "recipe": recipe.to_json(),
        "after": one.subject.settings.get("after"),
        "tuning": recipe.tuning,
        "digest": recipe.digest,
        "environment": store.made(recipe.digest, one.seed),
        "training": {name: _plain(value) for name, value in training.items()},
        "diverged": diverged,
        "scores": scores,
        **({"memory": {name: _plain(value) for name, value in memory.items()}} if memory else {}),
        "files": files,
        "key": key,
    }
    text = json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    write_whole(folder / "metrics.json", text)
    found: Mapping[str, Any] = json.loads(text)
    return found


def _whole_run(folder: Path, files: Any) -> bool:
    """Return whether a run's files have names that such a folder can hold, and are there."""
    return isinstance(files, list) and all(
        isinstance(name, str) and _FILE.fullmatch(name) and (folder / name).is_file() for name in files
    )


def epochs(run: TrainedRun) -> list[dict[str, Any]]:
    """Return rows of step, training loss, validation loss and accuracy.

    A step can have two rows: before and after a model grew.
    """
    history = dict(run.history)
    looks: dict[int, list[tuple[float, float]]] = {}
    for step, loss, right in run.validation:
        looks.setdefault(step, []).append((loss, right))
    rows: list[dict[str, Any]] = []
    for step in sorted({*history, *looks}):
        first: dict[str, Any] = {"step": step, "loss": history.get(step, "")}
        own = [{"validation_loss": loss, "validation_accuracy": right} for loss, right in looks.get(step, ())]
        rows.append(first | (own[0] if own else {"validation_loss": "", "validation_accuracy": ""}))
        rows += [{"step": step, "loss": ""} | row for row in own[1:]]
    return rows


def samples(model: nn.Module, examples: tuple[Tensor, Tensor]) -> tuple[list[dict[str, Any]], dict[str, float]]:
    """Return a row for every target that counts, and what a memory did on the whole.

    Returns:
        The rows: what the model itself says of its examples; else label, prediction, confidence and loss for
        classifiers, and none for models that do not classify. And the summary that the model itself gives, or nothing.
    """
    if isinstance(model, WithExampleRecords):
        model.cpu()
        records = model.example_records(examples[0].cpu(), examples[1].cpu())
        return _rows(records.columns), dict(records.summary)
    try:
        found = classified(model, examples)
    except MemkitError:  # no classes: there is nothing to say of a single example that the score does not
        return [], {}
    columns = {
        "example": found.example.tolist(),
        "label": found.label.tolist(),
        "prediction": found.prediction.tolist(),
        "confidence": found.confidence.tolist(),
        "loss": found.loss.tolist(),
    }
    if examples[1].dim() > 1:
        targets = examples[1]
        places = torch.arange(targets[0].numel(), device=targets.device).expand(len(targets), -1)
        columns["place"] = places.reshape(-1)[targets.flatten() != IGNORED].tolist()
    return _rows(columns), {}


def _rows(columns: Mapping[str, Sequence[Any]]) -> list[dict[str, Any]]:
    return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]


def _write_rows(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write rows as CSV, with a column for every key that one of them has."""
    columns = list(dict.fromkeys(name for row in rows for name in row))
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, columns, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: _cell(value) for name, value in row.items()} for row in rows)
    write_whole(path, text.getvalue())


def _cell(value: Any) -> Any:
    """Return a float with seven significant digits, which is what single precision has."""
    return f"{value:.7g}" if isinstance(value, float) else value


def _write_tensors(path: Path, tensors: Mapping[str, Tensor]) -> None:
    from safetensors.torch import save

    write_whole(path, save(dict(tensors)))


def _read(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _plain(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value
