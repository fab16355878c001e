"""`preflight report`: readable at 80 columns, helpful at every stage, and an exit code that says whether it is red."""

import json

import pytest

from preflight.cli import main
from preflight.config import load_config


@pytest.fixture
def show(project, capsys, monkeypatch):
    """Run `preflight report` on the project; returns exit code and screen."""
    monkeypatch.chdir(project.folder)

    def run():
        project.write()
        capsys.readouterr()
        code = main(["report", "config.yaml"])
        screen = capsys.readouterr().out
        assert all(len(line) <= 80 for line in screen.splitlines()), screen
        return code, screen

    return run


def test_before_anything_has_run_it_says_how_to_start(show):
    code, screen = show()

    assert code == 0
    assert screen.splitlines() == [
        "tiny",
        "",
        "preflight   not run yet",
        "",
        "postflight  not run yet",
        "",
        "next        pytest --preflight config.yaml",
    ]


def test_after_a_green_gate_the_next_step_is_to_train(project, show):
    project.gate()
    code, screen = show()

    assert code == 0
    assert "preflight   GREEN" in screen
    assert "run/preflight/report.html" in screen
    assert screen.endswith("next        preflight train config.yaml\n")


def test_what_blocks_is_shown_with_its_fix(project, show):
    project.set(training={"learning_rate": 0.5}).gate()
    code, screen = show()

    assert code == 1
    assert "preflight   RED" in screen
    assert "  CFG-105   config.yaml:" in screen
    assert "fix: Set training.learning_rate: 2.0e-04" in screen
    assert "next        fix what blocks, then pytest --preflight config.yaml" in screen


def test_a_partial_run_is_not_red(project, show):
    project.gate("-k", "CFG-105")
    code, screen = show()

    assert code == 0
    assert "preflight   PARTIAL" in screen
    assert screen.endswith("next        pytest --preflight config.yaml\n")


def test_a_verdict_about_an_older_config_is_said_to_be_one(project, show):
    project.gate("-k", "CFG-105")
    project.set(training={"learning_rate": 3e-4})

    assert "the config has changed since" in show()[1]


def test_how_the_model_is_evaluated_is_nothing_to_the_gate(project, show):
    project.gate("-k", "CFG-105")
    project.set(evaluation={"max_examples": 3})

    assert "the config has changed since" not in show()[1]


def test_a_report_that_was_cut_off_counts_as_none(project, show):
    folder = project.folder / "run" / "preflight"
    folder.mkdir(parents=True)
    (folder / "report.json").write_text('{"verdict": "gre', encoding="utf-8")

    assert "preflight   not run yet" in show()[1]


def test_a_run_that_was_stopped_goes_on(project, show):
    project.gate()
    (project.folder / "run" / "checkpoint-20").mkdir()
    steps = [{"step": step, "loss": 3 - step / 20} for step in range(1, 21)]
    steps += [{"step": 10, "eval_loss": 2.4}, {"step": 20, "eval_loss": 2.2}]
    log = "".join(json.dumps(step) + "\n" for step in steps)
    (project.folder / "run" / "run.jsonl").write_text(log, encoding="utf-8")
    code, screen = show()

    assert code == 0
    assert "training loss" in screen
    assert "validation loss" in screen
    assert "preflight train config.yaml (goes on from its last checkpoint)" in " ".join(screen.split())


def test_what_the_monitors_say_of_a_run_is_shown_with_its_fix(project, show):
    project.gate()
    project.text('{"step": 1, "loss": 3.0}\n{"step": 2, "loss": NaN}\n', "run/run.jsonl")
    code, screen = show()

    assert code == 1
    assert "flight      RED" in screen
    assert "  RUN-101   step 2: loss is nan at step 2" in screen
    assert "run/flight/report.html" in screen
    assert "next        change what the monitors name, then pytest --preflight" in screen
    assert (project.folder / "run" / "flight" / "report.html").is_file()


def test_speed_time_memory_and_energy_stand_below_the_curve(project, show):
    (project.folder / "run").mkdir()
    step = {"loss": 2.0, "tokens_per_second": 1234.5, "step_seconds": 0.25, "wait_seconds": 0.01, "energy_wh": 0.5}
    memory = {"memory_resident": 3 * 2**30, "memory_reserved": 70 * 2**30}
    log = "".join(json.dumps({"step": n, **step, **memory}) + "\n" for n in (1, 2))
    project.text(log, "run/run.jsonl")

    lines = show()[1].splitlines()
    start = lines.index("speed       1,234 tokens/s")
    assert "step" in lines[start - 1]
    assert lines[start + 1 : start + 5] == [
        "step        0.25 s, 4% of it waiting for data",
        "memory      at most 3.0 GiB in the process and 70.0 GiB reserved on the card",
        "energy      1 Wh",
        "",
    ]


def test_a_log_without_losses_is_no_chart(project, show):
    (project.folder / "run").mkdir()
    (project.folder / "run" / "run.jsonl").write_text("", encoding="utf-8")

    assert "no losses logged yet" in show()[1]


def test_a_config_that_can_not_be_read_is_4(project, capsys, monkeypatch):
    monkeypatch.chdir(project.folder)
    (project.folder / "config.yaml").write_text("mode: 1\n", encoding="utf-8")

    assert main(["report", "config.yaml"]) == 4
    assert "config.yaml" in capsys.readouterr().err


def test_terminal_codes_in_the_data_are_not_obeyed(project, show):
    project.set(name="\u202etiny\u2028x")

    assert "\u2028" not in show()[1]


def judged(project, scores, checks=()):
    """A postflight that has been, as far as the screen shows it."""
    report = {
        "verdict": "green",
        "why": "all good",
        "config": {"resolved": load_config(project.write()).resolved()},
        "checks": [{"outcome": "passed", "severity": "required", "findings": [], **check} for check in checks],
        "pictures": {"scores": scores},
    }
    (project.folder / "run" / "postflight").mkdir(parents=True)
    project.text(json.dumps(report), "run/postflight/report.json")


def score(number, **changes):
    sides = {"base": 0.5, "tuned": 0.75, "difference": 0.25}
    intervals = {side: {"value": value, "low": value - 0.1, "high": value + 0.1} for side, value in sides.items()}
    return {
        "name": f"m{number}",
        "title": f"Metric {number}",
        "higher_is_better": True,
        "top": 1,
        **intervals,
        **changes,
    }


def test_after_a_postflight_scores_and_the_accepted_run_are_shown(project, show):
    accepted = {"code": "POST-117", "summary": "3 of 3 not below the run accepted on 2026-01-31"}
    judged(project, [score(1), score(2, title="Perplexity", top=None, higher_is_better=False)], [accepted])

    lines = show()[1].splitlines()
    start = lines.index("postflight  GREEN  all good")
    assert lines[start + 1 : start + 4] == [
        "            accepted: 3 of 3 not below the run accepted on 2026-01-31",
        "            Metric 1: 50.0 % → 75.0 % (65.0 to 85.0), better",
        "            Perplexity: 0.5 → 0.75 (0.65 to 0.85), worse",
    ]


@pytest.mark.parametrize("count, shown, more", [(6, 6, False), (7, 5, True), (30, 5, True)])
def test_many_scores_are_few_lines(project, show, count, shown, more):
    judged(project, [score(number) for number in range(count)])

    screen = show()[1]
    assert screen.count("Metric ") == shown
    assert (f"and {count - 5} scores more in the report" in screen) == more
