"""The file that a staged study is written in, ``matrix.yaml``, checked at every level before anything runs.

What a matrix may say is in the README, "A staged study".
"""

from __future__ import annotations

import difflib
import hashlib
import inspect
import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields
from functools import cached_property
from pathlib import Path
from typing import Any

from memkit.errors import MemkitError, nearest
from memkit.evidence.claim import Arm
from memkit.evidence.contrast import Contrast
from memkit.statistics import LOOKS
from memkit.study.merging import Settings, expanded, merged
from memkit.study.objects import function, importable, made_task, named
from memkit.study.reading import read_yaml
from memkit.training.recipe import Recipe, model_options
from memkit.training.references import reference

_TOP = (
    *("study", "title", "source", "recipe", "score", "examples", "configurations", "controls", "screen", "confirm"),
    "notes",
)
_NEEDED = ("study", "recipe", "configurations", "controls", "screen", "confirm")
_SCREEN = ("seeds", "by", "higher", "best", "within", "always")
_CONFIRM = ("metric", "higher", "bounds", "assume", "margin", "sesoi", "seeds", "expect")
_NOTES = ("interpretation", "open")
_OWN = ("base", "over", "after", "family", "controls")
"""What a configuration has beside its recipe."""
_NO_PART = ("title", "source", "notes")
"""Words for readers: they change nothing that is run, and are no part of the digest."""
EXPECTATIONS = ("open", "supported", "refuted", "not_supported")
DEFAULT_SCORE = "memkit.study.scoring:accuracy_and_loss"
_STUDY = re.compile(r"[a-z0-9][a-z0-9._-]*(/[a-z0-9][a-z0-9._-]*)+")
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]*")


@dataclass(frozen=True, kw_only=True)
class Subject:
    """What is trained, and seen by the score: a recipe, and an intervention on the trained model.

    Attributes:
        settings: as the matrix has them, in plain types: the recipe's, and ``after``.
        recipe: what is trained.
        after: ``intervention(model)`` or ``(model, seed)``, or None.
    """

    settings: Settings
    recipe: Recipe
    after: Callable[..., Any] | None = field(default=None, compare=False)

    @property
    def arm(self) -> Arm:
        """As an arm of a claim."""
        return Arm(self.recipe, self.after)

    @property
    def same_as(self) -> str:
        """Equal for two that come to the same recipe and intervention."""
        return _canonical({"recipe": self.recipe.to_json(), "after": self.settings.get("after")})


@dataclass(frozen=True, kw_only=True)
class Configuration(Subject):
    """One of the configurations that are screened.

    Attributes:
        name: as a part of a claim's id.
        family: what it competes in, where promotion is within families.
        controls: names of the controls that it is held against when it is promoted.
        differs: what its settings have that the shared ones have not; dotted name → value.
    """

    name: str
    family: str
    controls: tuple[str, ...]
    differs: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Screen:
    """Stage A: ``best`` by a metric are promoted, and ``always`` whatever they score; see the README."""

    seeds: int
    by: str
    higher: bool
    best: int
    within: str
    always: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Confirm:
    """Stage B: what all its contrasts and claims have in common; see :class:`memkit.Contrast` and the README."""

    metric: str
    higher: bool
    bounds: tuple[float, float] | None
    assume: str
    margin: float
    sesoi: float | None
    seeds: int | None
    expect: str

    def contrast(self, treatment: str, over: str) -> Contrast:
        """The contrast of a configuration over a control."""
        return Contrast(
            treatment,
            over=over,
            metric=self.metric,
            bounds=self.bounds,
            direction="higher" if self.higher else "lower",
            margin=self.margin,
            sesoi=self.sesoi,
            assume=self.assume,  # type: ignore[arg-type]
        )


@dataclass(frozen=True, kw_only=True)
class Matrix:
    """A staged study.

    Attributes:
        path: the file.
        study: the claims are ``study/configuration``.
        title, source: texts, or "".
        score: ``score(model, (inputs, targets))`` → a number or ``{metric: number}``.
        examples: how many are drawn for validation and for testing, of tasks that are functions.
        configurations: name → configuration, in the order of the file.
        controls: name → the name of a configuration, or changes to the promoted one.
        screen, confirm: the two stages.
        notes: "interpretation" and "open" → the author's own sentences.
        names: of all settings that have a value somewhere; what null may take away from a configuration.
        digest: of all that the file says, but for title, source and notes.
    """

    path: Path
    study: str
    title: str
    source: str
    score: Callable[..., Any]
    examples: int
    configurations: Mapping[str, Configuration]
    controls: Mapping[str, str | Settings]
    screen: Screen
    confirm: Confirm
    notes: Mapping[str, tuple[str, ...]]
    names: frozenset[str]
    digest: str

    @property
    def promoted_path(self) -> Path:
        """Where it is written which configurations were promoted."""
        return self.path.with_name(f"{self.path.stem}.promoted.json")

    @property
    def score_reference(self) -> str:
        """The name of the score."""
        return reference(self.score)

    @cached_property
    def candidates(self) -> tuple[str, ...]:
        """The configurations that compete: those that no control stands for."""
        named = {control for control in self.controls.values() if isinstance(control, str)}
        return tuple(name for name in self.configurations if name not in named)

    def control(self, name: str, configuration: str) -> Subject:
        """What a control is for a configuration.

        Raises:
            MemkitError: its changes do not fit the configuration, or change nothing.
        """
        given = self.controls[name]
        if isinstance(given, str):
            return self.configurations[given]
        own = self.configurations[configuration]
        where = f"{self.path.name}: controls: {name}: for {configuration}"
        try:
            made = _subject(merged(own.settings, given), where, self.names)
        except MemkitError as error:
            hint = f"; if it is not for {configuration}, name its controls there, controls: [...]"
            raise MemkitError(f"{error}{hint}") from None
        if made.same_as == own.same_as:
            raise MemkitError(
                f"{where} it changes nothing; name the controls that {configuration} is held against, controls: [...]"
            )
        return made

    def place_of(self, arm: str, configuration: str) -> str:
        """What the runs of an arm of a configuration's claim are filed under: ``wide``, ``linear``, ``wide+half``."""
        given = self.controls.get(arm) if arm != configuration else configuration
        return given if isinstance(given, str) else f"{configuration}+{arm}"


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
    top = _mapping(data, "the matrix")
    _known(top, _TOP, "")
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
    default = named_score == DEFAULT_SCORE
    controls = _controls(top["controls"])
    configurations = _configurations(top, controls)
    screen = _screen(_mapping(top["screen"], "screen"), configurations, default)
    made = Matrix(
        path=path,
        study=study,
        title=_text(top.get("title", ""), "title"),
        source=_text(top.get("source", ""), "source"),
        score=score,
        examples=_count(top.get("examples", 1000), "examples"),
        configurations=configurations,
        controls=controls,
        screen=screen,
        confirm=_confirm(_mapping(top["confirm"], "confirm"), screen, default),
        names=_names(top, controls),
        notes=_notes(_mapping(top.get("notes") or {}, "notes")),
        digest=hashlib.sha256(_canonical({k: v for k, v in top.items() if k not in _NO_PART}).encode()).hexdigest()[
            :32
        ],
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
    shared = _mapping(top["recipe"], "recipe")
    if wrong := [name for name in shared if name in _OWN]:
        raise MemkitError(f"recipe: {wrong[0]!r} is for configurations; move it there")
    given = _mapping(top["configurations"], "configurations")
    if not given:
        raise MemkitError("configurations: there is none; name at least one, plain: {}")
    for name, own in given.items():
        _valid_name(name, "configurations")
        _mapping(own if own is not None else {}, f"configurations: {name}")
    try:
        settings = expanded({name: own or {} for name, own in given.items()})
    except MemkitError as error:
        raise MemkitError(f"configurations: {error}") from None
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
        subject = _subject(
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
            family=_text(own.get("family", ""), f"{where}: family"),
            controls=tuple(dict.fromkeys(wanted)),
            differs=_flat({k: v for k, v in subject.settings.items() if shared.get(k) != v}, shared),
        )
    return made


def _names(top: Settings, controls: Mapping[str, str | Settings]) -> frozenset[str]:
    """Of all settings that have a value somewhere in the matrix."""
    parts = [top["recipe"], *(own or {} for own in top["configurations"].values())]
    parts += [given for given in controls.values() if not isinstance(given, str)]
    return frozenset(name for part in parts for name, value in part.items() if value is not None)


def _subject(settings: Settings, where: str, names: frozenset[str]) -> Subject:
    """The recipe and the intervention of whole settings; null takes away an option that the model does not have.

    Args:
        names: of all settings that have a value somewhere: any other one is misspelt.
    """
    for name in ("task", "model"):
        if settings.get(name) is None:
            raise MemkitError(f"{where}: there is no {name!r}; say it under recipe, {name}: 'module:name'")
    task = made_task(settings["task"], f"{where}: task")
    model = named(settings["model"], f"{where}: model")
    rest = {name: value for name, value in settings.items() if name not in ("task", "model", "after")}
    if (known := model_options(model)) is not None:
        known |= {f.name for f in fields(Recipe)}
        rest = {k: v for k, v in rest.items() if v is not None or k in known or k not in names}
    try:
        recipe = Recipe(task, model).with_(**rest)
    except MemkitError as error:
        own = {f.name for f in fields(Recipe)}
        for name in rest:  # of a configuration's own keys the recipe knows nothing
            if name not in own and (meant := difflib.get_close_matches(name, _OWN, n=1, cutoff=0.75)):
                raise MemkitError(f"{where}: there is no {name!r}; did you mean {meant[0]!r}?") from None
        raise MemkitError(f"{where}: {error}") from None
    after = None if settings.get("after") is None else function(settings["after"], f"{where}: after")
    return Subject(settings=dict(settings), recipe=recipe, after=after)


def _controls(given: Any) -> dict[str, str | Settings]:
    controls = _mapping(given, "controls")
    if not controls:
        raise MemkitError("controls: there is none; name a configuration or changes, linear: linear")
    for name, control in controls.items():
        _valid_name(name, "controls")
        if isinstance(control, str):
            continue
        where = f"controls: {name}"
        changes = _mapping(control, where, or_="the name of a configuration, or a mapping of changes")
        if wrong := [key for key in changes if key in ("base", "over", "family", "controls")]:
            raise MemkitError(f"{where}: {wrong[0]!r} is for configurations; a control has changes alone")
        if not changes:
            raise MemkitError(f"{where}: it changes nothing")
    return dict(controls)


def _screen(given: Settings, configurations: Mapping[str, Configuration], default: bool) -> Screen:
    _known(given, _SCREEN, "screen")
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
    by = _metric(given["by"], "screen: by", default)
    return Screen(
        seeds=_count(given.get("seeds", 1), "screen: seeds", most=10_000),
        by=by,
        higher=_flag(given.get("higher", not (default and by == "loss")), "screen: higher"),
        best=_count(given["best"], "screen: best", least=0 if always else 1),
        within=within or "",
        always=tuple(dict.fromkeys(always)),
    )


def _confirm(given: Settings, screen: Screen, default: bool) -> Confirm:
    _known(given, _CONFIRM, "confirm")
    metric = _metric(given.get("metric", screen.by), "confirm: metric", default)
    higher = screen.higher if metric == screen.by else not (default and metric == "loss")
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
        higher=_flag(given.get("higher", higher), "confirm: higher"),
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


def _notes(given: Settings) -> dict[str, tuple[str, ...]]:
    _known(given, _NOTES, "notes")
    for name, sentences in given.items():
        if not isinstance(sentences, list) or not all(isinstance(sentence, str) for sentence in sentences):
            raise MemkitError(f"notes: {name}: {sentences!r} must be a list of sentences")
    return {name: tuple(given.get(name, ())) for name in _NOTES}


def _check_promotion(matrix: Matrix) -> None:
    """Whatever is promoted has something to be held against, and there are as many as are to be promoted."""
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


# --- what is checked everywhere ------------------------------------------------------------------


def _known(given: Settings, known: Iterable[str], where: str) -> None:
    """Refuse a misspelt key."""
    for name in given:
        if name not in known:
            raise MemkitError(f"{where}{': ' if where else ''}there is no {name!r}{nearest(name, known)}")


def _mapping(given: Any, where: str, or_: str = "a mapping, name: value") -> Settings:
    if not isinstance(given, Mapping):
        raise MemkitError(f"{where}: {given!r} must be {or_}")
    return given


def _text(given: Any, where: str) -> str:
    if not isinstance(given, str):
        raise MemkitError(f"{where}: {given!r} must be a text")
    return " ".join(given.split())


def _flag(given: Any, where: str) -> bool:
    if not isinstance(given, bool):
        raise MemkitError(f"{where}: {given!r} must be true or false")
    return given


def _count(given: Any, where: str, *, least: int = 1, most: int | None = None) -> int:
    if not isinstance(given, int) or isinstance(given, bool) or given < least or (most is not None and given > most):
        limit = f"from {least} to {most}" if most is not None else f"of at least {least}"
        raise MemkitError(f"{where}: {given!r} must be a whole number {limit}")
    return given


def _metric(given: Any, where: str, default: bool) -> str:
    name = _text(given, where)
    if not name:
        raise MemkitError(f"{where}: name a metric of the score")
    known = ("accuracy", "loss")
    if default and name not in known:
        raise MemkitError(f"{where}: the default score has no {name!r}{nearest(name, known)}")
    return name


def _valid_name(name: str, where: str) -> None:
    if not _NAME.fullmatch(name):
        raise MemkitError(
            f"{where}: {name!r} must be in lower case, digits, '-', '_' and '.': it is a part of claims' ids"
        )


def _flat(changed: Settings, shared: Settings, prefix: str = "") -> dict[str, Any]:
    """Dotted name → value, of what differs from the shared settings."""
    found: dict[str, Any] = {}
    for name, value in changed.items():
        old = shared.get(name)
        if isinstance(value, Mapping) and isinstance(old, Mapping):
            found |= _flat({k: v for k, v in value.items() if old.get(k) != v or k not in old}, old, f"{prefix}{name}.")
        else:
            found[prefix + name] = value
    return found


def _canonical(data: Any) -> str:
    return json.dumps(data, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
