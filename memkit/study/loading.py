"""From the file ``matrix.yaml`` to a :class:`.matrix.Matrix`: every key and value checked before anything runs.

What a matrix may say is in docs/staged.md.
"""

from __future__ import annotations

import hashlib
import inspect
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from memkit.errors import MemkitError, nearest
from memkit.recipes.references import first_names, reference, resolve
from memkit.statistics import LOOKS
from memkit.study import checking
from memkit.study.matrix import Configuration, Confirm, Matrix, Screen
from memkit.study.objects import function, importable
from memkit.study.reading import read_yaml
from memkit.study.settings import Settings, expanded, merged
from memkit.study.subjects import OWN, canonical, subject_of

_TOP = (
    *("study", "title", "source", "recipe", "score", "examples", "configurations", "controls", "screen", "confirm"),
    *("reported", "notes"),
)
_NEEDED = ("study", "recipe", "configurations", "controls", "screen", "confirm")
_SCREEN = ("seeds", "by", "higher", "best", "within", "always")
_CONFIRM = ("metric", "higher", "bounds", "assume", "margin", "sesoi", "seeds", "expect")
_NOTES = ("interpretation", "open")
_NO_PART = ("title", "source", "reported", "notes")
"""Words for readers: they change nothing that is run, and are no part of the digest."""
EXPECTATIONS = ("open", "supported", "refuted", "not_supported")
DEFAULT_SCORE = "memkit.training.scoring:accuracy_and_loss"
_STUDY = re.compile(r"[a-z0-9][a-z0-9._-]*(/[a-z0-9][a-z0-9._-]*)+")


def load_matrix(path: Path) -> Matrix:
    """Read a matrix and check it whole.

    Raises:
        MemkitError: a sentence that names the file, the place, and what would be right.
    """
    data = read_yaml(path)
    with importable(path.parent):
        try:
            return _matrix(path, data)
        except MemkitError as error:
            said = str(error)
            raise MemkitError(said if said.startswith(f"{path.name}:") else f"{path.name}: {said}") from None


def _matrix(path: Path, data: Any) -> Matrix:
    checking.short_enough(path.stem, "the file's name")
    top = checking.mapping(data, "the matrix")
    checking.known(top, _TOP, "")
    if lacking := [name for name in _NEEDED if name not in top]:
        raise MemkitError(f"there is no {lacking[0]!r}; {_HINTS[lacking[0]]}")
    study = top["study"]
    if not isinstance(study, str) or not _STUDY.fullmatch(study):
        raise MemkitError(
            f"study: {study!r} must be the beginning of claims' ids, lower case with a '/': lab/{path.stem}"
        )
    score = function(top.get("score", DEFAULT_SCORE), "score")
    try:
        named_score = reference(score)
    except MemkitError as error:
        raise MemkitError(f"score: {error}") from None
    try:
        inspect.signature(score).bind("model", "examples")
    except TypeError as error:
        raise MemkitError(f"score: {named_score} must be a function of a model and examples: {error}") from None
    default = score is resolve(DEFAULT_SCORE)
    controls = _controls(top["controls"])
    configurations = _configurations(top, controls)
    screen = _screen(checking.mapping(top["screen"], "screen"), configurations, default)
    said = first_names({name: value for name, value in top.items() if name not in _NO_PART})
    made = Matrix(
        path=path,
        study=study,
        title=checking.text(top.get("title", ""), "title"),
        source=checking.text(top.get("source", ""), "source"),
        shared=checking.mapping(top["recipe"], "recipe"),
        score=score,
        examples=checking.count(top.get("examples", 1000), "examples"),
        configurations=configurations,
        controls=controls,
        screen=screen,
        confirm=_confirm(checking.mapping(top["confirm"], "confirm"), screen, default),
        names=_names(top, controls),
        reported=_reported(checking.mapping(top.get("reported") or {}, "reported"), configurations),
        notes=_notes(checking.mapping(top.get("notes") or {}, "notes")),
        digest=hashlib.sha256(canonical(said).encode()).hexdigest()[:32],
    )
    _check_promotion(made)
    return made


_HINTS = {
    "study": "name what the claims' ids begin with, study: lab/xor",
    "recipe": "say what all configurations share, recipe: {task: 'module:name', model: 'module:Class'}",
    "configurations": "name what is compared, configurations: {plain: {}, wide: {width: 64}}",
    "controls": "say what promoted configurations are held against, controls: {linear: linear}",
    "screen": "say how configurations are promoted, screen: {by: accuracy, best: 2}",
    "confirm": "say what is confirmed, confirm: {metric: accuracy, bounds: [0, 1]}",
}


def _configurations(top: Settings, controls: Mapping[str, str | Settings]) -> dict[str, Configuration]:
    shared = checking.mapping(top["recipe"], "recipe")
    if wrong := [name for name in shared if name in OWN]:
        raise MemkitError(f"recipe: {wrong[0]!r} is for configurations; move it there")
    given = checking.mapping(top["configurations"], "configurations")
    if not given:
        raise MemkitError("configurations: there is none; name at least one, plain: {}")
    for name, own in given.items():
        checking.valid_name(name, "configurations")
        checking.mapping(own if own is not None else {}, f"configurations: {name}")
    try:
        settings = expanded({name: own or {} for name, own in given.items()})
    except MemkitError as error:
        raise MemkitError(f"configurations: {error}") from None
    for name in settings:  # those that `over` has made, too
        checking.short_enough(name, "configurations")
    for name, control in controls.items():
        if isinstance(control, str) and control not in settings:
            raise MemkitError(f"controls: {name}: there is no configuration {control!r}{nearest(control, settings)}")
        if name in settings and control != name:
            raise MemkitError(
                f"controls: {name}: there is a configuration of this name, and the control is another one; rename it"
            )
    names = _names(top, controls)
    made: dict[str, Configuration] = {}
    same: dict[str, str] = {}
    for name, own in settings.items():
        where = f"configurations: {name}"
        subject = subject_of(
            merged(shared, {k: v for k, v in own.items() if k not in ("family", "controls")}), where, names
        )
        if (other := same.setdefault(subject.same_as, name)) != name:
            raise MemkitError(f"{where}: it comes to the same recipe and intervention as {other!r}; remove one of them")
        wanted = own.get("controls")
        if wanted is None:
            wanted = [control for control, stands in controls.items() if stands != name]
        elif not isinstance(wanted, list) or not all(isinstance(control, str) for control in wanted):
            raise MemkitError(f"{where}: controls: {wanted!r} must be a list of names of controls")
        for control in wanted:
            if control not in controls:
                raise MemkitError(f"{where}: controls: there is no control {control!r}{nearest(control, controls)}")
            if controls[control] == name:
                raise MemkitError(f"{where}: controls: {control!r} is the configuration itself")
        made[name] = Configuration(
            name=name,
            settings=subject.settings,
            recipe=subject.recipe,
            after=subject.after,
            family=checking.text(own.get("family", ""), f"{where}: family"),
            controls=tuple(dict.fromkeys(wanted)),
            differs=_flat({k: v for k, v in subject.settings.items() if shared.get(k) != v and k != "tuning"}, shared),
        )
    return made


def _names(top: Settings, controls: Mapping[str, str | Settings]) -> frozenset[str]:
    """Return the names of all settings that have a value somewhere in the matrix."""
    parts = [top["recipe"], *(own or {} for own in top["configurations"].values())]
    parts += [given for given in controls.values() if not isinstance(given, str)]
    return frozenset(name for part in parts for name, value in part.items() if value is not None)


def _controls(given: Any) -> dict[str, str | Settings]:
    controls = checking.mapping(given, "controls")
    if not controls:
        raise MemkitError("controls: there is none; name a configuration or changes, linear: linear")
    for name, control in controls.items():
        checking.valid_name(name, "controls")
        if isinstance(control, str):
            continue
        where = f"controls: {name}"
        changes = checking.mapping(control, where, or_="the name of a configuration, or a mapping of changes")
        if wrong := [key for key in changes if key in ("base", "over", "family", "controls")]:
            raise MemkitError(f"{where}: {wrong[0]!r} is for configurations; a control has changes alone")
        if not changes:
            raise MemkitError(f"{where}: it changes nothing")
    return dict(controls)


def _screen(given: Settings, configurations: Mapping[str, Configuration], default: bool) -> Screen:
    checking.known(given, _SCREEN, "screen")
    if "by" not in given:
        raise MemkitError("screen: there is no 'by'; name the metric of the score, by: accuracy")
    if "best" not in given:
        raise MemkitError("screen: there is no 'best'; say how many are promoted, best: 2")
    within = given.get("within")
    if within not in (None, "family"):
        raise MemkitError(f"screen: within: {within!r} can only be 'family'")
    always = given.get("always", [])
    if not isinstance(always, list):
        raise MemkitError(f"screen: always: {always!r} must be a list of configurations")
    for name in always:
        if name not in configurations:
            raise MemkitError(f"screen: always: there is no configuration {name!r}{nearest(str(name), configurations)}")
    by = checking.metric(given["by"], "screen: by", default)
    return Screen(
        seeds=checking.count(given.get("seeds", 1), "screen: seeds", most=10_000),
        by=by,
        higher=checking.flag(given.get("higher", not (default and by == "loss")), "screen: higher"),
        best=checking.count(given["best"], "screen: best", least=0 if always else 1),
        within=within or "",
        always=tuple(dict.fromkeys(always)),
    )


def _confirm(given: Settings, screen: Screen, default: bool) -> Confirm:
    checking.known(given, _CONFIRM, "confirm")
    metric = checking.metric(given.get("metric", screen.by), "confirm: metric", default)
    higher = screen.higher if metric == screen.by else not (default and metric == "loss")
    if metric == screen.by and given.get("higher", screen.higher) is not screen.higher:
        raise MemkitError(
            f"confirm: higher: {given['higher']!r} contradicts screen, which promotes by the "
            f"{'highest' if screen.higher else 'lowest'} {metric}"
        )
    bounds = given.get("bounds")
    if bounds is not None and not (isinstance(bounds, list) and len(bounds) == 2):
        raise MemkitError(f"confirm: bounds: {bounds!r} must be two numbers, the lower first: [0, 1]")
    seeds = given.get("seeds")
    sizes = [look.n for look in LOOKS]
    if seeds is not None and (isinstance(seeds, bool) or seeds not in sizes):
        raise MemkitError(f"confirm: seeds: {seeds!r} must be one of {sizes}, the sizes of the looks")
    expect = given.get("expect", "open")
    if expect == "equivalent":
        raise MemkitError(
            "confirm: expect: 'equivalent' needs a positive control; write that claim by hand, with @claim"
        )
    if expect not in EXPECTATIONS:
        raise MemkitError(f"confirm: expect: {expect!r} is not a verdict{nearest(str(expect), EXPECTATIONS)}")
    made = Confirm(
        metric=metric,
        higher=checking.flag(given.get("higher", higher), "confirm: higher"),
        bounds=None if bounds is None else tuple(bounds),
        assume=given.get("assume", "bounded"),
        margin=given.get("margin", 0.0),
        sesoi=given.get("sesoi"),
        seeds=seeds,
        expect=expect,
    )
    try:
        made.contrast("treatment", "control")
    except MemkitError as error:
        raise MemkitError(f"confirm: {str(error).partition(': ')[2]}") from None
    return made


def _reported(given: Settings, configurations: Mapping[str, Configuration]) -> dict[str, str]:
    for name, value in given.items():
        if name not in configurations:
            raise MemkitError(f"reported: there is no configuration {name!r}{nearest(name, configurations)}")
        if isinstance(value, bool) or not isinstance(value, (str, int, float)):
            raise MemkitError(f"reported: {name}: {value!r} must be a number or a text: what the source says of it")
    return {name: checking.text(str(value), "reported") for name, value in given.items()}


def _notes(given: Settings) -> dict[str, tuple[str, ...]]:
    checking.known(given, _NOTES, "notes")
    for name, sentences in given.items():
        if not isinstance(sentences, list) or not all(isinstance(sentence, str) for sentence in sentences):
            raise MemkitError(f"notes: {name}: {sentences!r} must be a list of sentences")
    return {name: tuple(given.get(name, ())) for name in _NOTES}


def _check_promotion(matrix: Matrix) -> None:
    """Check that whatever is promoted has controls to be held against, and that enough configurations compete."""
    screen = matrix.screen
    free = [name for name in matrix.candidates if name not in screen.always]
    families: dict[str, int] = {}
    for name in free:
        family = matrix.configurations[name].family if screen.within else ""
        families[family] = families.get(family, 0) + 1
    largest = max(families.values(), default=0)
    if screen.best > largest:
        of = "in the largest family" if screen.within else "that compete"
        raise MemkitError(
            f"screen: best: {screen.best} are to be promoted, and there are {largest} configurations {of}; those that "
            "a control stands for, and those under always, do not compete"
        )
    for name in dict.fromkeys((*matrix.candidates, *screen.always)):
        configuration = matrix.configurations[name]
        if not configuration.controls:
            raise MemkitError(
                f"configurations: {name}: it may be promoted, and no control is left to hold it against; name one"
            )
        known: dict[str, str] = {}
        for control in configuration.controls:
            subject = matrix.control(control, name)
            if subject.same_as == configuration.same_as:
                raise MemkitError(f"controls: {control}: it is the same as {name}, which may be promoted")
            if (other := known.setdefault(subject.same_as, control)) != control:
                raise MemkitError(f"controls: {control}: for {name} it is the same as the control {other!r}")


def _flat(changed: Settings, shared: Settings, prefix: str = "") -> dict[str, Any]:
    """Return dotted name → value, for the settings that differ from the shared ones."""
    found: dict[str, Any] = {}
    for name, value in changed.items():
        old = shared.get(name)
        if isinstance(value, Mapping) and isinstance(old, Mapping):
            found |= _flat({k: v for k, v in value.items() if old.get(k) != v or k not in old}, old, f"{prefix}{name}.")
        else:
            found[prefix + name] = value
    return found
