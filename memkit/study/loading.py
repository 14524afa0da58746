"""Loading of ``matrix.yaml`` as a :class:`.matrix.Matrix`; every key and value is checked before anything runs.

docs/staged.md describes what a matrix may contain.
"""

from __future__ import annotations

import hashlib
import inspect
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from memkit.errors import MemkitError, suggestion
from memkit.evidence.registration import BLOCK
from memkit.recipes.references import first_names, reference, resolve
from memkit.statistics import LEAST_SEEDS, LOOKS
from memkit.study import checking
from memkit.study.matrix import Configuration, Confirm, Matrix, Screen
from memkit.study.objects import importable, load_function
from memkit.study.reading import read_yaml
from memkit.study.settings import Settings, expanded, merged
from memkit.study.subjects import CONFIGURATION_KEYS, canonical, subject_of

_TOP_LEVEL_KEYS = (
    *("study", "title", "source", "recipe", "score", "examples", "configurations", "controls", "screen", "confirm"),
    *("reported", "notes"),
)
_REQUIRED_KEYS = ("study", "recipe", "configurations", "controls", "screen", "confirm")
_SCREEN_KEYS = ("seeds", "by", "higher", "best", "within", "always")
_CONFIRM_KEYS = ("metric", "higher", "bounds", "assume", "margin", "sesoi", "seeds", "expect")
_NOTES_KEYS = ("interpretation", "open")
_NOT_IN_DIGEST = ("title", "source", "reported", "notes")
"""Texts for readers: they change nothing that is run, so they are not part of the digest."""
EXPECTATIONS = ("open", "supported", "refuted", "not_supported")
DEFAULT_SCORE = "memkit.training.scoring:accuracy_and_loss"
_STUDY = re.compile(r"[a-z0-9][a-z0-9._-]*(/[a-z0-9][a-z0-9._-]*)+")


def load_matrix(path: Path) -> Matrix:
    """Read a matrix and check all of it.

    Raises:
        MemkitError: the matrix is invalid; the message names the file and the place, and says what would be right.
    """
    data = read_yaml(path)
    with importable(path.parent):
        try:
            return _matrix(path, data)
        except MemkitError as error:
            message = str(error)
            raise MemkitError(message if message.startswith(f"{path.name}:") else f"{path.name}: {message}") from None


def _matrix(path: Path, data: Any) -> Matrix:
    checking.check_length(path.stem, "the file's name")
    top = checking.mapping(data, "the matrix")
    checking.check_keys(top, _TOP_LEVEL_KEYS, "")
    if missing := [name for name in _REQUIRED_KEYS if name not in top]:
        raise MemkitError(f"there is no {missing[0]!r}; {_HINTS[missing[0]]}")
    study = top["study"]
    if not isinstance(study, str) or not _STUDY.fullmatch(study):
        raise MemkitError(
            f"study: {study!r} must be the beginning of the claims' ids, in lower case with a '/': lab/{path.stem}"
        )
    score = load_function(top.get("score", DEFAULT_SCORE), "score")
    try:
        score_name = reference(score)
    except MemkitError as error:
        raise MemkitError(f"score: {error}") from None
    try:
        inspect.signature(score).bind("model", "examples")
    except TypeError as error:
        raise MemkitError(f"score: {score_name} must be a function of a model and examples: {error}") from None
    has_default_score = score is resolve(DEFAULT_SCORE)
    controls = _controls(top["controls"])
    configurations = _configurations(top, controls)
    screen = _screen(checking.mapping(top["screen"], "screen"), configurations, has_default_score)
    digested = first_names({name: value for name, value in top.items() if name not in _NOT_IN_DIGEST})
    matrix = Matrix(
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
        confirm=_confirm(checking.mapping(top["confirm"], "confirm"), screen, has_default_score),
        setting_names=_setting_names(top, controls),
        reported=_reported(checking.mapping(top.get("reported") or {}, "reported"), configurations),
        notes=_notes(checking.mapping(top.get("notes") or {}, "notes")),
        digest=hashlib.sha256(canonical(digested).encode()).hexdigest()[:32],
    )
    _check_promotion(matrix)
    return matrix


_HINTS = {
    "study": "give the beginning of the claims' ids, as in study: lab/xor",
    "recipe": "give the settings of all configurations, as in recipe: {task: 'module:name', model: 'module:Class'}",
    "configurations": "name the configurations to compare, as in configurations: {plain: {}, wide: {width: 64}}",
    "controls": "name the controls of promoted configurations, as in controls: {linear: linear}",
    "screen": "give the promotion rule, as in screen: {by: accuracy, best: 2}",
    "confirm": "give the metric to confirm, as in confirm: {metric: accuracy, bounds: [0, 1]}",
}


def _configurations(top: Settings, controls: Mapping[str, str | Settings]) -> dict[str, Configuration]:
    shared = checking.mapping(top["recipe"], "recipe")
    if misplaced := [name for name in shared if name in CONFIGURATION_KEYS]:
        raise MemkitError(f"recipe: {misplaced[0]!r} is a key of configurations; move it there")
    given = checking.mapping(top["configurations"], "configurations")
    if not given:
        raise MemkitError("configurations: there are none; name at least one, as in plain: {}")
    for name, value in given.items():
        checking.check_name(name, "configurations")
        checking.mapping(value if value is not None else {}, f"configurations: {name}")
    try:
        all_settings = expanded({name: value or {} for name, value in given.items()})
    except MemkitError as error:
        raise MemkitError(f"configurations: {error}") from None
    for name in all_settings:  # including those made by `over`
        checking.check_length(name, "configurations")
    for name, control in controls.items():
        if isinstance(control, str) and control not in all_settings:
            raise MemkitError(
                f"controls: {name}: there is no configuration {control!r}{suggestion(control, all_settings)}"
            )
        if name in all_settings and control != name:
            raise MemkitError(
                f"controls: {name}: a configuration of the same name is not the control; rename one of them"
            )
    setting_names = _setting_names(top, controls)
    configurations: dict[str, Configuration] = {}
    name_by_identity: dict[str, str] = {}
    for name, settings in all_settings.items():
        where = f"configurations: {name}"
        subject = subject_of(
            merged(shared, {k: v for k, v in settings.items() if k not in ("family", "controls")}), where, setting_names
        )
        if (other := name_by_identity.setdefault(subject.identity, name)) != name:
            raise MemkitError(f"{where}: it has the same recipe and intervention as {other!r}; remove one of them")
        control_names = settings.get("controls")
        if control_names is None:
            control_names = [control for control, refers_to in controls.items() if refers_to != name]
        elif not isinstance(control_names, list) or not all(isinstance(control, str) for control in control_names):
            raise MemkitError(f"{where}: controls: {control_names!r} must be a list of names of controls")
        for control in control_names:
            if control not in controls:
                raise MemkitError(f"{where}: controls: there is no control {control!r}{suggestion(control, controls)}")
            if controls[control] == name:
                raise MemkitError(f"{where}: controls: {control!r} is the configuration itself")
        own_settings = {k: v for k, v in subject.settings.items() if shared.get(k) != v and k != "tuning"}
        configurations[name] = Configuration(
            name=name,
            settings=subject.settings,
            recipe=subject.recipe,
            intervention=subject.intervention,
            family=checking.text(settings.get("family", ""), f"{where}: family"),
            controls=tuple(dict.fromkeys(control_names)),
            differs=_changed_settings(own_settings, shared),
        )
    return configurations


def _setting_names(top: Settings, controls: Mapping[str, str | Settings]) -> frozenset[str]:
    """Return the names of all settings that have a value somewhere in the matrix."""
    mappings = [top["recipe"], *(given or {} for given in top["configurations"].values())]
    mappings += [given for given in controls.values() if not isinstance(given, str)]
    return frozenset(name for settings in mappings for name, value in settings.items() if value is not None)


def _controls(given: Any) -> dict[str, str | Settings]:
    controls = checking.mapping(given, "controls")
    if not controls:
        raise MemkitError("controls: there are none; name a configuration or changes, as in linear: linear")
    for name, control in controls.items():
        checking.check_name(name, "controls")
        if isinstance(control, str):
            continue
        where = f"controls: {name}"
        changes = checking.mapping(control, where, expected="the name of a configuration, or a mapping of changes")
        if misplaced := [key for key in changes if key in ("base", "over", "family", "controls")]:
            raise MemkitError(f"{where}: {misplaced[0]!r} is a key of configurations, not of controls; leave it out")
        if not changes:
            raise MemkitError(f"{where}: it changes nothing; name a configuration or changes")
    return dict(controls)


def _screen(given: Settings, configurations: Mapping[str, Configuration], has_default_score: bool) -> Screen:
    checking.check_keys(given, _SCREEN_KEYS, "screen")
    if "by" not in given:
        raise MemkitError("screen: there is no 'by'; name the metric of the score, as in by: accuracy")
    if "best" not in given:
        raise MemkitError("screen: there is no 'best'; give the number to promote, as in best: 2")
    within = given.get("within")
    if within not in (None, "family"):
        raise MemkitError(f"screen: within: {within!r} must be 'family'")
    always = given.get("always", [])
    if not isinstance(always, list):
        raise MemkitError(f"screen: always: {always!r} must be a list of configurations")
    for name in always:
        if name not in configurations:
            raise MemkitError(
                f"screen: always: there is no configuration {name!r}{suggestion(str(name), configurations)}"
            )
    by = checking.metric(given["by"], "screen: by", has_default_score)
    return Screen(
        seeds=checking.count(given.get("seeds", 1), "screen: seeds", most=10_000),
        by=by,
        higher=checking.flag(given.get("higher", not (has_default_score and by == "loss")), "screen: higher"),
        best=checking.count(given["best"], "screen: best", least=0 if always else 1),
        within=within or "",
        always=tuple(dict.fromkeys(always)),
    )


def _confirm(given: Settings, screen: Screen, has_default_score: bool) -> Confirm:
    checking.check_keys(given, _CONFIRM_KEYS, "confirm")
    metric = checking.metric(given.get("metric", screen.by), "confirm: metric", has_default_score)
    higher = screen.higher if metric == screen.by else not (has_default_score and metric == "loss")
    if metric == screen.by and given.get("higher", screen.higher) is not screen.higher:
        raise MemkitError(
            f"confirm: higher: {given['higher']!r} contradicts screen, which promotes by the "
            f"{'highest' if screen.higher else 'lowest'} {metric}"
        )
    bounds = given.get("bounds")
    if bounds is not None and not (isinstance(bounds, list) and len(bounds) == 2):
        raise MemkitError(f"confirm: bounds: {bounds!r} must be two numbers, the lower first: [0, 1]")
    seeds = given.get("seeds")
    is_whole = isinstance(seeds, int) and not isinstance(seeds, bool)
    if seeds is not None and not (is_whole and LEAST_SEEDS <= seeds <= BLOCK):
        raise MemkitError(f"confirm: seeds: {seeds!r} must be a whole number from {LEAST_SEEDS} to {BLOCK}")
    expect = given.get("expect", "open")
    if expect == "equivalent":
        raise MemkitError(
            "confirm: expect: 'equivalent' needs a positive control; write that claim by hand, with @claim"
        )
    if expect not in EXPECTATIONS:
        raise MemkitError(f"confirm: expect: {expect!r} is not a verdict{suggestion(str(expect), EXPECTATIONS)}")
    confirm = Confirm(
        metric=metric,
        higher=checking.flag(given.get("higher", higher), "confirm: higher"),
        bounds=None if bounds is None else tuple(bounds),
        assume=given.get("assume", "bounded"),
        margin=given.get("margin", 0.0),
        sesoi=given.get("sesoi"),
        seeds=seeds,
        expect=expect,
    )
    sizes = [look.n for look in LOOKS]
    if confirm.assume == "normal" and seeds is not None and seeds not in sizes:
        raise MemkitError(f"confirm: seeds: {seeds!r} must be one of {sizes}, the looks of Student’s t")
    try:
        confirm.contrast("treatment", "control")
    except MemkitError as error:
        raise MemkitError(f"confirm: {str(error).partition(': ')[2]}") from None
    return confirm


def _reported(given: Settings, configurations: Mapping[str, Configuration]) -> dict[str, str]:
    for name, value in given.items():
        if name not in configurations:
            raise MemkitError(f"reported: there is no configuration {name!r}{suggestion(name, configurations)}")
        if isinstance(value, bool) or not isinstance(value, (str, int, float)):
            raise MemkitError(f"reported: {name}: {value!r} must be a number or a text, the value in the source")
    return {name: checking.text(str(value), "reported") for name, value in given.items()}


def _notes(given: Settings) -> dict[str, tuple[str, ...]]:
    checking.check_keys(given, _NOTES_KEYS, "notes")
    for name, sentences in given.items():
        if not isinstance(sentences, list) or not all(isinstance(sentence, str) for sentence in sentences):
            raise MemkitError(f"notes: {name}: {sentences!r} must be a list of sentences")
    return {name: tuple(given.get(name, ())) for name in _NOTES_KEYS}


def _check_promotion(matrix: Matrix) -> None:
    """Check that every configuration that may be promoted has controls, and that enough configurations compete."""
    screen = matrix.screen
    competing = [name for name in matrix.candidates if name not in screen.always]
    family_sizes: dict[str, int] = {}
    for name in competing:
        family = matrix.configurations[name].family if screen.within else ""
        family_sizes[family] = family_sizes.get(family, 0) + 1
    largest = max(family_sizes.values(), default=0)
    if screen.best > largest:
        which = "in the largest family" if screen.within else "that compete"
        raise MemkitError(
            f"screen: best: {screen.best} are to be promoted, but there are only {largest} configurations {which}; "
            "configurations that a control names, or that are under always, do not compete"
        )
    for name in dict.fromkeys((*matrix.candidates, *screen.always)):
        configuration = matrix.configurations[name]
        if not configuration.controls:
            raise MemkitError(
                f"configurations: {name}: it may be promoted, but it has no control to be compared with; name one"
            )
        control_by_identity: dict[str, str] = {}
        for control in configuration.controls:
            subject = matrix.control(control, name)
            if subject.identity == configuration.identity:
                raise MemkitError(
                    f"controls: {control}: it is the same as {name}, which may be promoted; remove one of them"
                )
            if (other := control_by_identity.setdefault(subject.identity, control)) != control:
                raise MemkitError(
                    f"controls: {control}: for {name} it is the same as the control {other!r}; remove one of them"
                )


def _changed_settings(changed: Settings, shared: Settings, prefix: str = "") -> dict[str, Any]:
    """Return dotted name → value, for the settings that differ from the shared ones."""
    result: dict[str, Any] = {}
    for name, value in changed.items():
        old = shared.get(name)
        if isinstance(value, Mapping) and isinstance(old, Mapping):
            differing = {k: v for k, v in value.items() if old.get(k) != v or k not in old}
            result |= _changed_settings(differing, old, f"{prefix}{name}.")
        else:
            result[prefix + name] = value
    return result
