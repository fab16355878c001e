"""Settings on the command line: what was cleared can't be changed there, and what is free can."""

import json

import pytest

from preflight.clearance import Refused
from preflight.config import load_config


@pytest.mark.parametrize(
    "word, value",
    [
        pytest.param("training.logging_steps=5", {"logging_steps": 5.0}, id="steps"),
        pytest.param("training.logging_steps=0.1", {"logging_steps": 0.1}, id="a share of the run"),
        pytest.param("training.disable_tqdm=true", {"disable_tqdm": True}, id="a switch"),
        pytest.param("training.run_name=try=2", {"run_name": "try=2"}, id="a name with an equals sign"),
    ],
)
def test_what_is_free(project, word, value):
    from preflight.trainer import overrides

    assert overrides.parse(load_config(project.write()), [word]) == value


@pytest.mark.parametrize(
    "word, message",
    [
        pytest.param("training.learning_rate=1e-3", "clear that first, `pytest --preflight config.yaml`", id="cleared"),
        pytest.param("training.logging_steps", "write KEY=VALUE", id="no value"),
        pytest.param("training.logging_steps=often", "is a float", id="no number"),
        pytest.param("training.logging_steps=0", "is more than 0", id="zero"),
        pytest.param("training.logging_steps=nan", "is more than 0", id="NaN"),
        pytest.param("logging_steps=5", "Free to change here: training.logging_steps", id="without its section"),
    ],
)
def test_what_is_not(project, word, message):
    from preflight.trainer import overrides

    with pytest.raises(Refused) as refused:
        overrides.parse(load_config(project.write()), [word])
    assert message in str(refused.value)


def test_a_run_obeys(project, monkeypatch, capsys):
    from preflight.trainer import recheck
    from preflight.trainer.run import main

    monkeypatch.setattr(recheck, "start", lambda config: None)
    config = str(project.set(training={"max_steps": 4, "eval_strategy": "no"}).clear())

    assert main([config, "training.learning_rate=1"]) == 3
    assert "training.learning_rate is part of what was cleared" in capsys.readouterr().err
    assert main([config, "training.logging_steps=2"]) == 0

    log = map(json.loads, (project.folder / "run" / "run.jsonl").read_text().splitlines())
    assert [record["step"] for record in log if "loss" in record] == [2, 4]
