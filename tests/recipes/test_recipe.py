"""A recipe contains everything that determines a trained model, survives JSON, and rejects bad input early."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from memkit import MemkitError, Recipe
from tests.machines import toys

BASE = Recipe(toys.Halves(), toys.Cohort, options={"width": 4}, steps=10)


def through_json(recipe: Recipe) -> Recipe:
    return Recipe.from_json(json.loads(json.dumps(recipe.to_json(), allow_nan=False)))


@pytest.mark.parametrize(
    "recipe",
    [
        BASE,
        Recipe(toys.signs, toys.Ordinary),
        Recipe(toys.Halves(scale=2.5, names=("up", "down")), toys.Cohort),
        Recipe(toys.Mixture((toys.Halves(3.0), toys.Squared())), toys.Cohort),
        Recipe(toys.signs, toys.anything, options={"layers": [1, [2, 3]], "table": {"a": [None, True, "x"]}}),
        Recipe(toys.signs, toys.Plain, vmap=True),
        BASE.with_(optimizer="sgd", lr=1, weight_decay=0.1, batch=3, clip=1, stream="second"),
    ],
    ids=lambda recipe: recipe.summary,
)
def test_json_is_lossless_and_keeps_the_digest(recipe: Recipe) -> None:
    again = through_json(recipe)
    assert again == recipe
    assert again.digest == recipe.digest
    assert again.to_json() == recipe.to_json()


def test_fields_that_have_their_default_are_left_out() -> None:
    plain = Recipe(toys.signs, toys.Ordinary)
    assert plain.to_json() == {"task": "tests.machines.toys:signs", "model": "tests.machines.toys:Ordinary"}
    spelt_out = Recipe(toys.signs, toys.Ordinary, lr=1e-3, steps=1000, clip=None, stream="", options={})
    assert spelt_out.digest == plain.digest


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ({"steps": np.int64(10), "batch": np.uint8(3)}, {"steps": 10, "batch": 3}),
        ({"lr": np.float64(0.1), "clip": np.float32(0.5)}, {"lr": 0.1, "clip": 0.5}),
        ({"vmap": np.bool_(True), "validate_every": np.array(4)}, {"vmap": True, "validate_every": 4}),
        (
            {"options": {"layers": np.arange(3), "wide": np.bool_(True), "scale": np.float32(0.5), "x": [np.int8(1)]}},
            {"options": {"layers": [0, 1, 2], "wide": True, "scale": 0.5, "x": [1]}},
        ),
        ({"options": {"table": {"a": np.array([[0.5]])}}}, {"options": {"table": {"a": [[0.5]]}}}),
        ({"task": toys.Halves(scale=np.float64(2.5))}, {"task": toys.Halves(scale=2.5)}),
        ({"task": toys.Halves(scale=np.int64(2))}, {"task": toys.Halves(scale=2)}),
        (
            {"task": toys.Mixture((toys.Halves(np.float32(3.0)), toys.Squared()))},
            {"task": toys.Mixture((toys.Halves(3.0), toys.Squared()))},
        ),
        ({"stream": np.str_("second")}, {"stream": "second"}),
    ],
)
def test_numpy_numbers_become_python_numbers(given: Any, meant: Any) -> None:
    one, other = (Recipe(**{"task": toys.signs, "model": toys.anything, **kind}) for kind in (given, meant))
    assert repr(one) == repr(other)
    assert json.dumps(one.to_json()) == json.dumps(other.to_json())
    assert (one.digest, one.summary) == (other.digest, other.summary)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"steps": np.float64(10)}, r"steps=10.0 must be a positive whole number"),
        ({"steps": np.bool_(True)}, "steps=True must be a positive whole number"),
        ({"lr": np.float64("nan")}, "lr=nan must be a positive number"),
        ({"lr": np.array([0.1])}, r"lr=\[0.1\] must be a positive number"),
        ({"options": {"x": np.ma.masked}}, "options must be JSON types"),
        ({"options": {"x": np.float64("inf")}}, "options must be JSON types"),
        ({"options": {"x": 1j}}, "options must be JSON types"),
        ({"task": toys.Halves(names=np.array(["left"]))}, "in a task must be of a JSON type"),
    ],
)
def test_a_recipe_refuses_invalid_numpy_numbers_too(changes: Any, message: str) -> None:
    with pytest.raises(MemkitError, match=message):
        Recipe(**{"task": toys.signs, "model": toys.anything, **changes})


def test_options_that_contain_themselves_are_refused() -> None:
    circle: list[Any] = []
    circle.append(circle)
    with pytest.raises(MemkitError, match="options must be JSON types"):
        Recipe(toys.signs, toys.anything, options={"x": circle})


def test_a_task_without_numpy_numbers_is_unchanged() -> None:
    task = toys.Halves()
    assert Recipe(task, toys.Cohort).task is task


def test_the_description_of_tuning_is_not_part_of_the_digest() -> None:
    plain = Recipe(toys.signs, toys.Ordinary)
    tuned = plain.with_(tuning="best of 12 trials")
    assert (tuned.tuning, tuned.with_(lr=0.1).tuning) == ("best of 12 trials", "best of 12 trials")
    assert tuned == plain
    assert (tuned.digest, tuned.to_json()) == (plain.digest, plain.to_json())
    with pytest.raises(MemkitError, match="tuning=3 must be a string"):
        plain.with_(tuning=3)


def test_cluster_resources_are_not_part_of_the_digest() -> None:
    plain = Recipe(toys.signs, toys.Ordinary)
    large = plain.with_(cpus=4, gpus=0.25)
    assert (large.cpus, large.gpus) == (4.0, 0.25)
    assert (large, large.digest, large.to_json()) == (plain, plain.digest, plain.to_json())
    for wrong in ({"cpus": 0}, {"gpus": -1}, {"cpus": "four"}):
        with pytest.raises(MemkitError, match=r"must be a positive number, such as 1 or 0\.25"):
            plain.with_(**wrong)
    with pytest.raises(MemkitError, match=r"gpus=1\.5 must be a fraction of one GPU or a whole number of GPUs"):
        plain.with_(gpus=1.5)


def test_the_defaults_are_those_with_which_stored_runs_were_trained() -> None:
    # Defaults are not in the digest: if one changed, runs with the old one would be taken for runs with the new one.
    defaults = {f.name: f.default for f in dataclasses.fields(Recipe)[3:] if f.compare}
    assert defaults == {
        "optimizer": "adam",
        "lr": 1e-3,
        "weight_decay": 0.0,
        "batch": 32,
        "steps": 1000,
        "clip": None,
        "stream": "",
        "validate_every": None,
        "vmap": False,
        "backend": "torch",
    }


@pytest.mark.parametrize(
    "changes",
    [
        {"task": toys.Halves(2.0)},
        {"task": toys.Squared()},
        {"task": toys.signs},
        {"model": toys.Ordinary},
        {"width": 5},
        {"optimizer": "sgd"},
        {"lr": 2e-3},
        {"weight_decay": 0.1},
        {"batch": 33},
        {"steps": 11},
        {"clip": 1.0},
        {"stream": "second"},
        {"validate_every": 5},
        {"model": toys.Ordinary, "vmap": True},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_the_digest_changes_with_every_field(changes: dict[str, Any]) -> None:
    assert BASE.with_(**changes).digest != BASE.digest


def test_the_digest_changes_with_the_data() -> None:
    digests = {Recipe(task, toys.Cohort).digest for task in (Data("one"), Data("two"), Data("two"))}
    assert len(digests) == 2


@dataclass(frozen=True)
class Data(toys.Halves):
    """A task whose checksum is not a field: a real one would compute it from a file."""

    name: str = ""

    @property
    def checksum(self) -> str:
        """Of the file's content."""
        return f"content of {self.name}"


def test_integers_and_equal_floats_give_the_same_recipe() -> None:
    assert BASE.with_(lr=1, clip=2).digest == BASE.with_(lr=1.0, clip=2.0).digest


def test_the_modules_of_a_recipe_include_those_of_values_in_the_task() -> None:
    assert BASE.modules == ("memkit.training.trainer", "tests.machines.toys")
    nested = Recipe(toys.Mixture((Data("one"),)), toys.Cohort)
    assert nested.modules == ("memkit.training.trainer", "tests.machines.toys", "tests.recipes.test_recipe")


def test_seeds_train_together_with_a_seed_axis_or_by_vmap() -> None:
    ordinary = Recipe(toys.signs, toys.Ordinary)
    assert (BASE.together, ordinary.together, ordinary.with_(vmap=True).together) == (True, False, True)


# --- with_ --------------------------------------------------------------------------------------------------


def test_with_underscore_changes_fields_and_options() -> None:
    changed = BASE.with_(width=8, steps=20)
    assert (changed.options, changed.steps) == ({"width": 8}, 20)
    assert (BASE.options, BASE.steps) == ({"width": 4}, 10)
    assert BASE.with_(options={}).options == {}
    assert BASE.with_(options={}, width=6).options == {"width": 6}
    assert BASE.with_(model=toys.Ordinary, dropout=0.5).options == {"width": 4, "dropout": 0.5}
    assert BASE.with_() == BASE


@pytest.mark.parametrize("name", ["lr", "weight_decay", "clip", "cpus", "gpus", "batch", "steps"])
@given(value=st.integers(-(10**320), 10**320) | st.floats() | st.booleans() | st.text() | st.fractions())
def test_values_that_are_not_numbers_are_refused(name: str, value: Any) -> None:
    with contextlib.suppress(MemkitError):
        made = getattr(BASE.with_(**{name: value}), name)
        assert made == (value if name in ("batch", "steps") else float(value))  # no float is 2**53 + 1
        assert type(made) is (int if name in ("batch", "steps") else float)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"widht": 8}, r"no field 'widht', and Cohort takes no such option; did you mean 'width'\?"),
        ({"stepss": 8}, r"did you mean 'steps'\?"),
        ({"dropout": 0.5}, "Cohort takes no such option"),
        ({"generators": []}, "'generators' is set by the trainer; leave it out"),
        ({"options": {"widht": 3}}, r"Cohort takes no option 'widht'; did you mean 'width'\?"),
        ({"options": [3]}, "must be a dict"),
        ({"optimizer": "adamww"}, r"optimizer='adamww' is unknown; did you mean 'adamw'\?"),
        ({"optimizer": None}, "optimizer=None is unknown"),
        ({"lr": 0}, "lr=0 must be a positive number"),
        ({"lr": -1.0}, "lr=-1.0 must be"),
        ({"lr": math.nan}, "lr=nan must be"),
        ({"lr": "1e-3"}, "lr='1e-3' must be"),
        ({"lr": True}, "lr=True must be"),
        ({"lr": 10**400}, r"lr=10+\.\.\.0+ must be a positive number"),
        ({"lr": 10**5000}, "lr=this int must be a positive number"),
        ({"clip": 10**400}, "must be positive, or None"),
        ({"cpus": 10**400}, "must be a positive number, such as 1 or 0.25"),
        ({"batch": -(10**5000)}, "batch=this int must be a positive whole number"),
        ({"weight_decay": -0.1}, "weight_decay=-0.1 must be 0 or more"),
        ({"batch": 0}, "batch=0 must be a positive whole number"),
        ({"batch": 2.0}, "batch=2.0 must be"),
        ({"batch": True}, "batch=True must be"),
        ({"steps": -5}, "steps=-5 must be"),
        ({"steps": "5"}, "steps='5' must be"),
        ({"clip": 0}, "clip=0 must be positive, or None"),
        ({"stream": 3}, "stream=3 must be a string"),
        ({"vmap": 1, "model": toys.Ordinary}, "vmap=1 must be True or False"),
        ({"vmap": True}, "vmap=True is for ordinary modules, and Cohort has a seed axis, .*; leave vmap out"),
        ({"width": {1, 2}}, "options must be JSON types"),
        ({"width": math.inf}, "options must be JSON types"),
        ({"width": torch.tensor(3)}, "options must be JSON types"),
    ],
)
def test_bad_values_are_refused_with_the_remedy(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(MemkitError, match=message):
        BASE.with_(**changes)


@dataclass
class Thawed:
    """Not frozen."""

    def for_seed(self, generator: torch.Generator) -> Any:
        return toys.signs


@dataclass(frozen=True)
class Typed(toys.Halves):
    """A field with a name that the JSON needs."""

    type: str = ""


def renamed(generator: torch.Generator, size: int) -> Any:
    """Claims to be another function."""


renamed.__qualname__ = "signs"
renamed.__module__ = "tests.machines.toys"


def local_task() -> Any:
    def task(generator: torch.Generator, size: int) -> Any:
        return toys.signs(generator, size)

    return task


@pytest.mark.parametrize(
    ("task", "message"),
    [
        (3, "must be a function"),
        (None, "must be a function"),
        (lambda generator, size: None, "defined in another function|lambda"),
        (
            local_task(),
            "task is defined in another function; a recipe needs it defined at the top level of a module",
        ),
        (toys.Halves, r"must be a function or an instance of a frozen dataclass; write Halves\(\.\.\.\)"),
        (Thawed(), "instance of a frozen dataclass"),
        (toys.Halves().for_seed, "is not the object that tests.machines.toys:Halves.for_seed refers to"),
        (renamed, "is not the object that tests.machines.toys:signs refers to"),
        (Typed(), "a field of the task Typed is called 'type'; rename it"),
        (toys.Halves(scale=math.nan), "nan in a task must be of a JSON type"),
        (toys.Halves(scale=torch.tensor(1.0)), "in a task must be of a JSON type"),  # type: ignore[arg-type]
    ],
    ids=lambda value: type(value).__name__,  # str() may hold an address, which differs between xdist workers
)
def test_a_task_that_another_process_cannot_recreate_is_refused(task: Any, message: str) -> None:
    with pytest.raises(MemkitError, match=message):
        Recipe(task, toys.Cohort)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (None, "must be a torch.nn.Module class"),
        (toys.Ordinary(), "has no name that it can be imported by|takes no|must be"),
        (lambda: None, "defined in another function|lambda"),
    ],
    ids=["none", "instance", "lambda"],
)
def test_a_model_that_another_process_cannot_recreate_is_refused(model: Any, message: str) -> None:
    with pytest.raises(MemkitError, match=message):
        Recipe(toys.signs, model)


def test_options_cannot_be_changed_afterwards() -> None:
    options = {"width": 4}
    recipe = Recipe(toys.signs, toys.Ordinary, options=options)
    options["width"] = 5
    assert recipe.options == {"width": 4}
    with pytest.raises(TypeError):
        recipe.options["width"] = 6  # type: ignore[index]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.floats(-1e6, 1e6) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)


OPTION = st.text(min_size=1, max_size=5).filter(lambda name: name != "keys")  # which the trainer gives


@given(st.dictionaries(OPTION, JSON, max_size=3))
def test_options_survive_json(options: dict[str, Any]) -> None:
    recipe = Recipe(toys.signs, toys.anything, options=options)
    assert through_json(recipe) == recipe
    assert json.dumps(through_json(recipe).to_json()) == json.dumps(recipe.to_json())


def test_a_summary_names_model_task_and_options() -> None:
    assert BASE.summary == "Cohort on Halves (width 4)"
    assert Recipe(toys.signs, toys.Ordinary).summary == "Ordinary on signs"


def test_a_misspelt_field_is_named_with_the_nearest() -> None:
    wrong: dict[str, Any] = {"step": 5}
    with pytest.raises(
        MemkitError, match=r"Recipe has no field 'step'; did you mean 'steps'\?; arguments of the model belong in"
    ):
        Recipe(toys.signs, toys.Ordinary, **wrong)
    made = Recipe(toys.signs, toys.Ordinary, steps=5)
    assert replace(made) == made


def test_a_lambda_is_refused_as_a_lambda() -> None:
    with pytest.raises(MemkitError, match="a lambda has no name that it can be imported by"):
        Recipe(lambda generator, size: toys.signs(generator, size), toys.Ordinary)
