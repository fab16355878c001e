"""A run that is evaluated ends with its best checkpoint, unless the config says otherwise."""

import pytest

from preflight.config import load_config
from preflight.config.derived import NAMES
from preflight.model.build import training_arguments

BEST = {"load_best_model_at_end": True}
EPOCH = BEST | {"save_strategy": "epoch", "save_total_limit": 2}
STEPS = BEST | {"save_strategy": "steps", "save_total_limit": 2}


@pytest.mark.parametrize(
    "training, follows",
    [
        pytest.param({"eval_strategy": "epoch"}, EPOCH, id="each epoch"),
        pytest.param({"eval_strategy": "steps", "eval_steps": 20}, STEPS | {"save_steps": 20}, id="by steps"),
        pytest.param({"eval_strategy": "steps", "eval_steps": 0.1}, STEPS | {"save_steps": 0.1}, id="by a share"),
        pytest.param(
            {"eval_strategy": "steps", "logging_steps": 5}, STEPS | {"save_steps": 5}, id="as often as logged"
        ),
        pytest.param({"eval_strategy": "epoch", "save_total_limit": 5}, EPOCH, id="a limit of the user's own"),
        pytest.param({"eval_strategy": "epoch", "save_strategy": "epoch"}, BEST, id="saved together already"),
        pytest.param(
            {"eval_strategy": "steps", "eval_steps": 20, "save_strategy": "steps", "save_steps": 40},
            BEST,
            id="saved at each second evaluation",
        ),
        pytest.param({"eval_strategy": "steps", "eval_steps": 20, "save_strategy": "best"}, BEST, id="saved when best"),
        pytest.param(
            {"eval_strategy": "steps", "eval_steps": 20, "save_strategy": "steps", "save_steps": 30}, {}, id="apart"
        ),
        pytest.param({"eval_strategy": "steps", "eval_steps": 0.1, "save_steps": 40}, {}, id="a share and a number"),
        pytest.param({"eval_strategy": "epoch", "save_strategy": "steps"}, {}, id="by other means"),
        pytest.param({"eval_strategy": "epoch", "save_steps": 50}, {}, id="a number of steps alone"),
        pytest.param({"eval_strategy": "epoch", "save_strategy": "no"}, {}, id="never saved"),
        pytest.param({"eval_strategy": "epoch", "load_best_model_at_end": False}, {}, id="the last is wanted"),
        pytest.param({"eval_strategy": "epoch", "metric_for_best_model": "entropy"}, {}, id="another metric"),
        pytest.param({"eval_strategy": "no"}, {}, id="never evaluated"),
    ],
)
def test_what_follows_from_evaluating(project, training, follows):
    project.config["training"].pop("logging_steps")
    config = load_config(project.set(training=training).write())

    arguments = training_arguments(config)

    wanted = {name: training.get(name, follows[name]) for name in follows}
    assert {name: getattr(arguments, name) for name in wanted} == wanted
    assert arguments.load_best_model_at_end == bool(follows)
    for name in NAMES - {"save_steps"}:
        assert config.training_value(name) == getattr(arguments, name), name


def test_without_validation_data_nothing_follows(project):
    del project.config["data"]["validation"]

    assert not load_config(project.write()).training_value("load_best_model_at_end")
