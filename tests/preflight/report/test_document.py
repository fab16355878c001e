"""report.json: what is in it, and how it is written."""

import json
import math

import pytest

from preflight.config import load_config
from preflight.report import document
from preflight.report.schema import validate


@pytest.mark.parametrize(
    "verdict, stage, words",
    [
        ("green", "preflight", "preflight train "),
        ("green", "postflight", "may be deployed"),
        ("partial", "preflight", "pytest --preflight "),
        ("red", "preflight", "Fix what blocks, then pytest --preflight "),
        ("red", "postflight", "Fix what blocks, then pytest --postflight "),
    ],
)
def test_the_next_step(project, verdict, stage, words):
    assert words in document.next_step(load_config(project.write()), stage, verdict)


def test_the_next_step_can_be_typed_where_the_user_is(project, monkeypatch):
    (project.folder / "below").mkdir()
    monkeypatch.chdir(project.folder / "below")

    assert document.next_step(load_config(project.write()), "preflight", "green") == "preflight train ../config.yaml"


@pytest.mark.parametrize(
    "value, plain",
    [
        (math.nan, None),
        (-math.inf, None),
        (0.5, 0.5),
        ({"a": [math.inf, (1, math.nan)]}, {"a": [None, [1, None]]}),
        ({1: "one"}, {"1": "one"}),
        ("nan", "nan"),
        (True, True),
    ],
)
def test_numbers_that_json_lacks_become_null(value, plain):
    assert document.finite(value) == plain


def test_a_report_is_written_at_once_or_not_at_all(tmp_path):
    path = tmp_path / "report.json"
    document.write({"a": "old"}, path)

    with pytest.raises(TypeError):
        document.write({"a": {("no", "key"): 1}.keys, "b": Unwritable()}, path)

    assert json.loads(path.read_text()) == {"a": "old"}


class Unwritable:
    def __str__(self):
        raise TypeError("no text either")


def test_any_text_of_the_data_can_be_written(tmp_path):
    text = "grüße 漢字 \x00 \u2028 \ud83d"
    document.write({"text": text}, tmp_path / "report.json")

    assert json.loads((tmp_path / "report.json").read_text(encoding="utf-8")) == {"text": text}


def test_the_report_of_a_run(project):
    """Every check of the stage with its page, the config with its defaults, and what the report draws."""
    report = project.gate().report

    validate(report)
    assert report["config"]["name"] == "tiny"
    assert report["config"]["resolved"]["data"]["format"] == "auto"
    assert report["environment"]["trl"]
    assert sum(report["counts"].values()) == len(report["checks"])
    sections = [check["section"] for check in report["checks"]]
    assert list(dict.fromkeys(sections)) == [
        "1 Data preparation",
        "2 Hardware assessment",
        "3 Configuration selection",
        "4 Training setup",
        "0 The gate itself",
    ]
    assert all(set(check["docs"]) == {"what", "why", "fix", "evidence"} for check in report["checks"])
    lengths = report["pictures"]["token_lengths"]
    assert sum(lengths["counts"]) == 600
    assert lengths["max_length"] == 256


def test_the_label_view_shows_what_is_learned(project):
    """Pieces add up to the whole conversation, and the answer is what is learned."""
    view = project.gate("-k", "DATA-140").report["pictures"]["label_view"]

    question, answer = json.loads((project.folder / "train.jsonl").read_text().partition("\n")[0])["messages"]
    assert [example["row"] for example in view] == [0, 200, 400]
    learned = ["".join(piece["text"] for piece in example["pieces"] if piece["supervised"]) for example in view]
    assert learned[0] == f"{answer['content']}<|im_end|>"
    assert question["content"] in view[0]["pieces"][0]["text"]
    assert view[0]["pieces"][0]["supervised"] is False


def test_a_report_without_prepared_data_has_no_pictures(project):
    assert project.gate("-k", "CFG-105").report["pictures"] == {}


@pytest.mark.parametrize("name", ["meta.json", "train/data.arrow", "train/profile.parquet"])
def test_damaged_prepared_data_costs_pictures_and_not_the_report(project, name):
    project.gate("-k", "DATA-140")
    (prepared,) = (project.folder / "run" / "preflight" / "prepared").glob("[0-9a-f]*")
    (prepared / name).write_bytes(b"{")

    run = project.gate("-k", "CFG-105")

    assert run.report["pictures"] == {}
    assert run.outcome("CFG-105") == "passed"
    assert "Traceback" not in run.screen


def test_the_curves_of_a_run_are_in_the_reports_of_flight_and_postflight(project):
    (project.folder / "run" / "preflight").mkdir(parents=True)
    gpus = [{"name": "A100", "memory": 80 * 2**30}, {"name": "A100", "memory": 40 * 2**30}]
    project.text(json.dumps({"predicate": {"target": {"local": True, "gpus": gpus}}}), "run/preflight/clearance.json")
    steps = [{"step": step, "loss": 3.0 / step, "memory_reserved": 2**30} for step in (1, 2, 3)]
    project.text("".join(json.dumps(step) + "\n" for step in steps), "run/run.jsonl")
    config = load_config(project.write())

    drawn = document.pictures(config, "flight")

    assert [chart["title"] for chart in drawn["curves"]] == ["Loss", "Memory"]
    assert drawn["curves"][0]["lines"] == [{"name": "training", "steps": [1, 2, 3], "values": [3.0, 1.5, 1.0]}]
    assert drawn["curves"][1]["limit"]["value"] == 40
    assert document.pictures(config, "postflight") == drawn
    assert document.pictures(config, "preflight") == {}


@pytest.mark.parametrize("name", ["run.jsonl", "postflight/samples.json"])
def test_a_damaged_log_costs_its_picture_and_not_the_report(project, name):
    (project.folder / "run" / "postflight").mkdir(parents=True)
    project.text("{]", f"run/{name}")

    assert project.gate(stage="postflight").report["pictures"] == {}
