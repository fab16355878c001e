"""The published schema takes every honest report and refuses the others."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from preflight.findings import Finding
from preflight.report.schema import report_schema, validate

jsonschema = pytest.importorskip("jsonschema")

CURVE = {"title": "Loss", "lines": [{"name": "training", "steps": [1, 2], "values": [2.5, None]}]}
OUTCOMES = ["passed", "failed", "warned", "waived", "not-applicable", "not-available", "not-run", "error"]


def report(**changes: Any) -> dict[str, Any]:
    check = {
        "code": "DATA-101",
        "name": "consistent-format",
        "claim": "every row has one known shape",
        "section": "1 Data preparation",
        "severity": "required",
        "outcome": "failed",
        "seconds": 0.01,
        "evidence": {"anything": [1, None, {"deep": True}]},
        "findings": [{"message": "row 17 has no answer", "where": "data/train.jsonl:17", "observed": None}],
    }
    base: dict[str, Any] = {
        "schema": 1,
        "tool": {"name": "preflight", "version": "0.1.0"},
        "stage": "preflight",
        "verdict": "red",
        "why": "1 check blocks: DATA-101",
        "next": "preflight explain DATA-101",
        "started": "2026-08-24T09:12:44+00:00",
        "seconds": 12.3,
        "config": {"path": "config.yaml", "name": "support-bot", "resolved": {"lora": {"r": 16}}},
        "digests": {"config": "9f86d0"},
        "environment": {"python": "3.11.7", "bitsandbytes": None},
        "counts": dict.fromkeys(OUTCOMES, 0) | {"failed": 1},
        "checks": [check],
    }
    return base | changes


def edited(edit: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
    changed: dict[str, Any] = json.loads(json.dumps(report()))
    edit(changed)
    return changed


def test_the_schema_is_itself_valid():
    """The schema obeys draft 2020-12, and every property says what it means."""
    jsonschema.Draft202012Validator.check_schema(report_schema())

    for name, part in report_schema()["properties"].items():
        assert "description" in part or "$ref" in part, name


def test_every_object_is_closed_unless_it_is_free_form():
    """Unknown keys are refused everywhere but where the content belongs to somebody else."""
    open_objects = []

    def walk(part: Any, path: str) -> None:
        if isinstance(part, dict):
            if part.get("type") == "object" and part.get("additionalProperties", True) is True:
                open_objects.append(path)
            for key, value in part.items():
                walk(value, f"{path}/{key}")
        elif isinstance(part, list):
            for number, value in enumerate(part):
                walk(value, f"{path}/{number}")

    walk(report_schema(), "")

    assert open_objects == ["/properties/config/properties/resolved"]


@pytest.mark.parametrize(
    "edit",
    [
        pytest.param(lambda r: None, id="red"),
        pytest.param(lambda r: r.update(verdict="partial", stage="postflight"), id="partial"),
        pytest.param(lambda r: r.update(stage="flight"), id="flight"),
        pytest.param(lambda r: r.update(verdict="green", checks=[], counts=dict.fromkeys(OUTCOMES, 0)), id="green"),
        pytest.param(lambda r: r["checks"][0].update(evidence="free"), id="evidence-is-free-form"),
        pytest.param(lambda r: r["checks"][0].update(outcome="not-run", reason="cut off"), id="reason"),
        pytest.param(lambda r: r["checks"][0].update(docs={"what": "…"}, item="Format"), id="docs"),
        pytest.param(lambda r: r.update(pictures={"curves": [CURVE]}), id="nan"),
        pytest.param(
            lambda r: r.update(pictures={"label_view": [{"row": 0, "pieces": [{"text": "\n", "supervised": True}]}]}),
            id="labels",
        ),
        pytest.param(
            lambda r: r["checks"][0].update(findings=[Finding("no answer", where="a:1", fix="Drop it.").as_dict()]),
            id="a-real-finding",
        ),
    ],
)
def test_honest_reports_pass(edit: Callable[[dict[str, Any]], object]):
    """What the gate writes is valid."""
    validate(edited(edit))


@pytest.mark.parametrize(
    ("edit", "place"),
    [
        (lambda r: r.update(surprise=1), "(top level)"),
        (lambda r: r.pop("verdict"), "(top level)"),
        (lambda r: r.update(schema=2), "schema"),
        (lambda r: r.update(verdict="greenish"), "verdict"),
        (lambda r: r.update(stage="landing"), "stage"),
        (lambda r: r.update(started="yesterday"), "started"),
        (lambda r: r.update(seconds=-1), "seconds"),
        (lambda r: r["tool"].update(url="x"), "tool"),
        (lambda r: r["counts"].pop("error"), "counts"),
        (lambda r: r["counts"].update(skipped=1), "counts"),
        (lambda r: r.update(verdict="green"), "counts/failed"),
        (lambda r: r["digests"].update(config=7), "digests/config"),
        (lambda r: r["checks"][0].update(code="DATA-1"), "checks/0/code"),
        (lambda r: r["checks"][0].update(outcome="skipped"), "checks/0/outcome"),
        (lambda r: r["checks"][0].update(severity="must"), "checks/0/severity"),
        (lambda r: r["checks"][0].pop("evidence"), "checks/0"),
        (lambda r: r["checks"][0].update(outcome="waived"), "checks/0"),
        (lambda r: r["checks"][0].update(outcome="not-available", reason=""), "checks/0/reason"),
        (lambda r: r["checks"][0]["findings"][0].update(line=17), "checks/0/findings/0"),
        (lambda r: r["checks"][0]["findings"].append({"fix": "x"}), "checks/0/findings/1"),
        (lambda r: r.update(pictures={"pie": []}), "pictures"),
        (lambda r: r.update(pictures={"curves": [CURVE, CURVE | {"lines": [{}]}]}), "pictures/curves/1/lines/0"),
    ],
)
def test_broken_reports_are_refused_with_the_place(edit: Callable[[dict[str, Any]], object], place: str):
    """A broken report raises, and the message names the key."""
    with pytest.raises(ValueError, match="breaks its schema") as caught:
        validate(edited(edit))

    assert f"  {place}: " in str(caught.value)


def test_every_error_is_listed_and_none_floods_the_terminal():
    """All errors come at once, cut to a readable length."""
    with pytest.raises(ValueError, match="breaks its schema") as caught:
        validate(report(stage="x" * 10_000, verdict=None, checks=[{}] * 50))

    lines = str(caught.value).splitlines()
    assert len(lines) == 22
    assert "more" in lines[-1]
    assert max(map(len, lines)) < 400
