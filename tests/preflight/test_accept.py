"""`preflight accept`: what it demands, what it keeps, and what it says of it."""

import json
import os
import shutil
import subprocess
from datetime import date

import pytest

from preflight import accepted, clearance, registry, subjects
from preflight.accept import lines
from preflight.accepted import Accepted
from preflight.cli import main
from preflight.config import load_config
from preflight.trainer.run import main as train

DIGEST = "0" * 64
MADE = {
    "name": "support-bot",
    "accepted": "2026-01-31",
    "by": "Ada",
    "weights": DIGEST,
    "versions": {"trl": "1.0"},
    "base": {"name": "model", "weights": DIGEST},
    "data": {"asked": DIGEST, "held_out": DIGEST},
}
ACCURACY = {"title": "Accuracy", "higher_is_better": True, "top": 1.0, "n": 10, "tuned": {"value": 0.5}}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Where a green project lies once it is made."""
    return tmp_path_factory.mktemp("green") / "project"


@pytest.fixture
def green(project, made, monkeypatch):
    """A trained project whose postflight is green: a random model fails most checks, so none of them blocks here."""
    monkeypatch.chdir(project.folder)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    codes = [code for code, meta in registry.shipped().items() if meta.stage == "postflight" and meta.waivable]
    codes.remove("POST-117")
    project.set(
        training={"max_steps": 4},
        evaluation={"max_new_tokens": 8, "metrics": ["rouge_l", "perplexity"]},
        gate={"severity": dict.fromkeys(codes, "advice")},
    )
    if made.exists():
        shutil.copytree(made, project.folder, dirs_exist_ok=True)
        return project
    project.clear()
    assert train([str(project.folder / "config.yaml")]) == 0
    judged = project.gate(stage="postflight")
    assert judged.report["verdict"] == "green", judged.screen
    shutil.copytree(project.folder, made)
    return project


def read(project, name="accepted/tiny.json"):
    return json.loads((project.folder / name).read_text(encoding="utf-8"))


# --- what it keeps ----------------------------------------------------------------------------------------------------


def test_what_a_green_run_measured_is_kept(green, capsys):
    assert main(["accept", "config.yaml", "--by", "Ada  Lovelace", "--note", "the\nfirst"]) == 0

    said, kept, report = capsys.readouterr().out, read(green), green.folder / "run" / "postflight" / "report.json"
    assert said.startswith(
        "accepted/tiny.json: tiny, accepted by Ada Lovelace\nthe first accepted run; commit the file"
    )
    assert max(map(len, said.splitlines())) <= 80
    assert (kept["schema"], kept["by"], kept["note"]) == (1, "Ada Lovelace", "the first")
    assert kept["accepted"] == date.today().isoformat()
    assert set(kept["metrics"]) == {"rouge_l", "perplexity"}
    assert len(kept["metrics"]["rouge_l"]["examples"]) == 16
    assert len(kept["held_out"]["examples"]) == 16
    seen = next(c for c in json.loads(report.read_text())["checks"] if c["code"] == "POST-105")["evidence"]
    assert kept["held_out"]["tuned"] == pytest.approx(seen["tuned"], abs=1e-5)
    assert kept["measured"]["POST-105"]["examples"] == 16
    assert kept["versions"]["trl"]


def test_the_file_is_the_same_in_every_run(green):
    path = green.folder / "accepted" / "tiny.json"
    texts = set()
    for _ in range(2):
        assert main(["accept", "config.yaml", "--by", "Ada"]) == 0
        texts.add(path.read_text(encoding="utf-8"))

    assert len(texts) == 1
    (text,) = texts
    assert json.dumps(json.loads(text), indent=1, sort_keys=True, ensure_ascii=False) + "\n" == text
    assert all(
        len(number) <= 6 for line in text.splitlines() if (number := line.rstrip(",").partition(".")[2]).isdigit()
    )
    assert list(path.parent.iterdir()) == [path]


def test_the_clearance_still_holds_after_its_own_run_was_accepted(green):
    """What is deployed next asks for it. Another accepted run is another matter."""
    assert main(["accept", "config.yaml"]) == 0
    config = load_config("config.yaml")
    clearance.verify(config, "postflight")

    path = accepted.accepted_path(config)
    path.write_text(path.read_text().replace(accepted.weights_of(config), DIGEST))

    with pytest.raises(clearance.Refused, match=r"accepted/tiny\.json is new since the clearance"):
        clearance.verify(config, "postflight")


def test_a_clearance_binds_the_run_that_was_accepted(green):
    assert main(["accept", "config.yaml"]) == 0
    judged = green.gate("-k", "POST-117", stage="postflight")

    assert judged.outcome("POST-117") == "passed", judged.screen
    assert "this is the accepted run" in judged.check("POST-117")["summary"]
    bound = {subject["name"]: subject for subject in subjects.bind(load_config("config.yaml"), "postflight")}
    assert bound["accepted/tiny.json"]["annotations"]["kind"] == "accepted"
    assert "accepted/tiny.json" not in {s["name"] for s in subjects.bind(load_config("config.yaml"), "preflight")}


def test_another_file_can_be_named(project):
    project.set(evaluation={"accepted": "kept/best.json"})

    assert accepted.accepted_path(load_config(project.write())) == project.folder / "kept" / "best.json"


@pytest.mark.parametrize(
    "name, file", [("tiny", "tiny"), ("../up and away/1", "up-and-away-1"), ("..", "run"), ("größe 2", "größe-2")]
)
def test_the_file_stays_in_its_folder_whatever_the_run_is_called(project, name, file):
    project.set(name=name)

    assert accepted.accepted_path(load_config(project.write())) == project.folder / "accepted" / f"{file}.json"


def test_who_accepts_is_gits_user_unless_named(green):
    subprocess.run(["git", "init", "-q"], cwd=green.folder, check=True)
    subprocess.run(["git", "config", "user.name", "Grace Hopper"], cwd=green.folder, check=True)

    assert main(["accept", "config.yaml"]) == 0
    assert read(green)["by"] == "Grace Hopper"


# --- what it demands --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "harm, words",
    [
        (lambda run: (run / "postflight" / "clearance.json").unlink(), "no postflight clearance"),
        (lambda run: (run / "adapter_model.safetensors").write_bytes(b"another"), "adapter_model.safetensors changed"),
        (lambda run: (run / "postflight" / "report.json").unlink(), "report.json is gone or damaged"),
        (lambda run: (run / "postflight" / "report.json").write_text("{}"), "is damaged (KeyError: 'checks')"),
        (lambda run: (run / "postflight" / "scores.json").write_text("{]"), "scores.json is gone or damaged"),
        (lambda run: (run / "postflight" / "scores.json").write_text('{"metrics": [1]}'), "is damaged (AttributeError"),
        (lambda run: (run / "postflight" / "held_out.json").write_text('{"keys": 1}'), "is damaged (KeyError: 'base')"),
    ],
)
def test_without_a_green_postflight_nothing_is_accepted(green, capsys, harm, words):
    harm(green.folder / "run")

    assert main(["accept", "config.yaml"]) == 3
    said = capsys.readouterr()
    assert said.err.startswith("not accepted: ")
    assert words in said.err
    assert "pytest --postflight config.yaml" in said.err
    assert not (green.folder / "accepted").exists()


def test_before_any_run_it_says_what_to_do(project, capsys, monkeypatch):
    monkeypatch.chdir(project.folder)

    assert main(["accept", "config.yaml"]) == 3
    assert "run `pytest --postflight config.yaml` and see it green" in capsys.readouterr().err


def test_a_config_that_can_not_be_read_is_4(tmp_path, capsys):
    (tmp_path / "config.yaml").write_text("mode: 1\n")

    assert main(["accept", str(tmp_path / "config.yaml")]) == 4
    assert "config.yaml" in capsys.readouterr().err


def test_where_nothing_can_be_written_the_old_file_stays(green, capsys):
    (green.folder / "accepted").write_text("a file, not a folder")

    assert main(["accept", "config.yaml"]) == 1
    assert "can not be written" in capsys.readouterr().err


def test_an_old_file_that_is_damaged_blocks(green):
    (green.folder / "accepted").mkdir()
    (green.folder / "accepted" / "tiny.json").write_text("<<<<<<< HEAD\n{}")

    assert green.gate("-k", "POST-117", stage="postflight").outcome("POST-117") == "not-available"
    assert main(["accept", "config.yaml"]) == 3


# --- what it says -----------------------------------------------------------------------------------------------------


def run(**changes):
    return Accepted.model_validate({**MADE, **changes})


def metric(value, **changes):
    return {**ACCURACY, "tuned": {"value": value}, **changes}


def test_what_changed_is_said_number_by_number():
    before = run(
        metrics={"accuracy": metric(0.5), "f1": metric(0.25, title="F1")},
        measured={"POST-104": {"stopped": 60, "answers": 64}},
    )
    now = run(
        by="Grace",
        metrics={"accuracy": metric(0.75), "rouge_l": metric(0.3, title="ROUGE-L")},
        measured={"POST-104": {"stopped": 64, "answers": 64}},
        held_out={"base": 2.0, "tuned": 1.0},
    )

    assert [*lines(now, before, "accepted/x.json")] == [
        "accepted/x.json: support-bot, accepted by Grace",
        "it replaces the run that Ada accepted on 2026-01-31",
        "the weights are the same",
        "  Accuracy          0.5 → 0.75 (+0.25)",
        "  ROUGE-L           0.3 (new)",
        "  held-out loss     1 (new)",
        "  POST-104 stopped  60 → 64 (+4)",
        "  F1                0.25 before, not measured now",
        "  1 number unchanged",
    ]


def test_another_base_and_other_data_are_said():
    now = run(base={"name": "larger", "weights": "1"}, data={"asked": "1", "held_out": "1"}, weights="1")

    said = [*lines(now, run(), "x.json")]
    assert "the base model is another one: model before, larger now" in said
    assert "the held-out data is other data: the numbers are of different questions" in said


def test_it_is_one_screen():
    many = {f"m{n}": metric(n / 100, title=f"Metric {n}") for n in range(60)}

    said = [*lines(run(metrics=many), None, "x.json")]
    assert len(said) <= 24
    assert said[-1] == "  and 40 numbers more in the file"


@pytest.mark.parametrize(
    "text, words",
    [
        ("", "Invalid JSON"),
        ("[]", "object"),
        (json.dumps({**MADE, "schema": 2}), "schema"),
        (json.dumps({**MADE, "surprise": 1}), "surprise"),
        (json.dumps({**MADE, "weights": None}), "weights"),
        (json.dumps({**MADE, "metrics": {"a": metric("x")}}), "metrics.a.tuned.value"),
        (json.dumps({**MADE, "metrics": {"a": metric(1.0)}}).replace("1.0}", "NaN}"), "metrics.a.tuned.value"),
    ],
)
def test_a_damaged_file_is_refused_with_the_place(tmp_path, text, words):
    path = tmp_path / "x.json"
    path.write_text(text)

    with pytest.raises(accepted.AcceptedError, match=words):
        accepted.read(path)


def test_no_file_is_no_accepted_run(tmp_path):
    assert accepted.read(tmp_path / "x.json") is None
