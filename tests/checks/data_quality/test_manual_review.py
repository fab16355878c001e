"""DATA-110: a record of a person's review counts if it is of this data, at random, long enough and good enough."""

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from preflight import Finding
from preflight.config import load_config
from preflight.data.prepare import prepare
from preflight.findings import Found
from preflight.model.tokenizer import Tokenizer, load_tokenizer
from preflight.registry import shipped
from preflight.review import record, sample
from preflight.review.record import Record

CODE = "DATA-110"
WHEN = "2026-01-31T09:00:00Z"


@pytest.fixture(scope="session")
def reading(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Tokenizer:
    """The tiny model's tokenizer, loaded once."""
    path = tmp_path_factory.mktemp("tokenizer") / "config.yaml"
    path.write_text(f"model: {{name_or_path: {tiny}}}\ndata: {{train: a.jsonl}}\ntraining: {{output_dir: run}}\n")
    return load_tokenizer(load_config(path))


@pytest.fixture
def review(project: Any, reading: Tokenizer) -> Callable[..., Record]:
    """Write a record of a review of the project's data: `review(50, rejected=3)`."""

    def write(reviewed: int, rejected: int = 0, drawn: int | None = None, seed: int = 0, who: str = "Ada") -> Record:
        config = load_config(project.write())
        prepared = prepare(config, reading)
        data, rows = sample.data_of(config, prepared), sample.rows_of(config, prepared)
        order = sample.draw(data, seed, rows, drawn or max(reviewed, 50))
        verdicts = [
            {
                "row": row,
                "where": f"train.jsonl:{row + 1}",
                "verdict": "reject" if place < rejected else "accept",
                "comment": f"wrong in {place} ways" if place < rejected else "",
                "at": WHEN,
            }
            for place, row in enumerate(order[:reviewed])
        ]
        made = {"data": data.model_dump(), "seed": seed, "sample": order}
        made["reviews"] = [{"reviewer": who, "started": WHEN, "finished": None, "verdicts": verdicts}]
        kept = Record.model_validate_json(json.dumps(made))
        record.save(kept, record.path_of(config))
        return kept

    return write


@pytest.fixture
def judge(project: Any, reading: Tokenizer) -> Callable[[], tuple[Finding, ...]]:
    """Call the check on the project as it stands."""

    def found() -> tuple[Finding, ...]:
        config = load_config(project.write())
        prepared = prepare(config, reading)
        limits = SimpleNamespace(**shipped()[CODE].thresholds)
        try:
            shipped()[CODE].function(config, prepared, prepared.train, lambda *_, **__: None, limits)
        except Found as raised:
            return raised.findings
        return ()

    return found


def edit(project: Any, change: Callable[[dict[str, Any]], None]) -> None:
    """Change the record by hand."""
    path = project.folder / "config.review.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    change(content)
    path.write_text(json.dumps(content), encoding="utf-8")


def test_without_a_record_it_asks_for_one(project, expect):
    (finding,) = expect(CODE, "warned")

    assert finding["message"] == "nobody has reviewed a sample of the training data"
    assert finding["observed"] == "no config.review.json"
    assert finding["expected"] == "50 of 600 rows reviewed"
    assert finding["fix"] == "Run preflight review config.yaml and look at 50 rows."


@pytest.mark.parametrize(
    "reviewed, rejected, drawn, rows",
    [
        pytest.param(50, 0, 50, 600, id="fifty rows"),
        pytest.param(100, 0, 100, 600, id="a hundred rows"),
        pytest.param(60, 0, 100, 600, id="more than half of a hundred"),
        pytest.param(50, 5, 50, 600, id="one in ten rejected"),
        pytest.param(7, 0, 50, 7, id="all rows of a small set"),
    ],
)
def test_a_review_that_is_long_and_good_enough_passes(project, judge, review, reviewed, rejected, drawn, rows):
    project.text("".join((project.folder / "train.jsonl").read_text().splitlines(keepends=True)[:rows]))
    review(reviewed, rejected, drawn)

    assert judge() == ()


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda p: p.set(training={"learning_rate": 1e-4, "max_length": 64}), id="training"),
        pytest.param(lambda p: p.set(lora={"r": 8}), id="adapter"),
        pytest.param(lambda p: (p.folder / "train.jsonl").touch(), id="the file's date"),
        pytest.param(lambda p: p.rows([], "validation.jsonl"), id="validation data"),
    ],
)
def test_other_settings_leave_the_review_valid(project, judge, review, change):
    review(50)
    change(project)

    assert judge() == ()


def test_a_review_of_data_of_which_a_part_is_held_out_counts_for_every_seed(project, judge, review):
    del project.config["data"]["validation"]
    project.set(data={"validation_split": 0.2})
    review(50)
    project.set(training={"seed": 7})

    assert judge() == ()


@pytest.mark.parametrize(
    "reviewed, drawn, message, more",
    [
        pytest.param(0, 50, "too few rows are reviewed: 0 of 50 drawn", "50 more rows", id="none"),
        pytest.param(49, 50, "too few rows are reviewed: 49 of 50 drawn", "1 more row", id="one is missing"),
        pytest.param(
            60, 600, "too few rows are reviewed: 60 of 600 drawn", "240 more rows", id="all drawn, some chosen"
        ),
    ],
)
def test_too_few_verdicts_are_counted(judge, review, reviewed, drawn, message, more):
    review(reviewed, drawn=drawn)
    (finding,) = judge()

    assert finding.message == message
    assert finding.fix == f"Run preflight review config.yaml and look at {more}."


def test_too_many_rejected_rows_are_named_with_what_was_said(judge, review):
    kept = review(50, rejected=6)
    (finding,) = judge()

    assert finding.message == "rejected: 6 of 50 reviewed rows"
    assert finding.where == f"train.jsonl:{kept.sample[0] + 1}"
    assert finding.observed.startswith(f"train.jsonl:{kept.sample[0] + 1} (Ada: wrong in 0 ways), train.jsonl:")
    assert finding.observed.count("wrong in") == 6
    assert finding.expected == "at most 10%"


def test_a_row_that_one_of_two_rejects_is_rejected(project, judge, review):
    first = review(50).model_dump(mode="json")
    second = review(50, rejected=6, who="Bo").model_dump(mode="json")
    edit(project, lambda kept: kept.update(reviews=[*first["reviews"], *second["reviews"]]))

    (finding,) = judge()
    assert finding.message == "rejected: 6 of 50 reviewed rows"
    assert "(Bo: wrong in 0 ways)" in finding.observed


def test_a_review_of_other_data_names_the_file_that_changed(project, judge, review):
    review(50)
    with (project.folder / "train.jsonl").open("a") as stream:
        stream.write("\n")
    (finding,) = judge()

    assert finding.message == "the review is of other data: train.jsonl has changed"
    assert finding.where == "config.review.json"
    assert finding.observed == "50 of 50 rows reviewed, 0 rejected, by Ada"
    assert finding.fix == "Run preflight review config.yaml and look at 50 rows."


def choose(kept: dict[str, Any]) -> None:
    """Rows that someone liked better than those that were drawn."""
    others = [row for row in range(600) if row not in kept["sample"]][:3]
    for verdict, row in zip(kept["reviews"][0]["verdicts"], others, strict=False):
        verdict.update(row=row, where=f"train.jsonl:{row + 1}")
    kept["sample"][:3] = others


@pytest.mark.parametrize(
    "change, strangers",
    [
        pytest.param(choose, 3, id="three rows chosen"),
        pytest.param(lambda kept: kept.update(seed=1), 40, id="another seed"),
    ],
)
def test_rows_that_were_not_drawn_are_found(project, judge, review, change, strangers):
    review(60)
    edit(project, change)
    findings = judge()

    assert "that the seed" in findings[0].message
    assert int(findings[0].message.partition(" ")[0]) >= strangers
    assert findings[0].why == "A sample chosen by hand says nothing about the other rows."


@pytest.mark.parametrize(
    "content, problem",
    [
        pytest.param("{", "Invalid JSON: EOF", id="cut off"),
        pytest.param("[]", "Input should be an object", id="something else"),
        pytest.param('{"version": 1}', "data: Field required", id="half"),
    ],
)
def test_a_damaged_record_is_a_finding(project, judge, content, problem):
    project.text(content, "config.review.json")
    (finding,) = judge()

    assert finding.message.startswith(f"the record of the review can't be read: {problem}")
    assert finding.where == "config.review.json"
    assert "Restore config.review.json from version control" in finding.fix


def test_a_gate_with_a_review_passes_it(expect, review):
    review(50)

    assert expect(CODE, "passed") == []


def test_the_config_can_make_it_block_and_ask_for_more(project, expect, review):
    review(50, rejected=1)
    limits = {"min_reviewed": 100, "max_rejected": 0.01}
    project.set(
        gate={"severity": {CODE: "required"}, "thresholds": {CODE: limits}}, data={"review": "config.review.json"}
    )

    assert [finding["message"] for finding in expect(CODE, "failed")] == [
        "too few rows are reviewed: 50 of 50 drawn",
        "rejected: 1 of 50 reviewed rows",
    ]
