"""A clearance that was forged, cut off or put in another's place is refused, and the trainer says so."""

import json

import pytest

from preflight import clearance
from preflight.config import load_config


def refusal(project, stage="preflight"):
    with pytest.raises(clearance.Refused) as caught:
        clearance.verify(load_config(project.folder / "config.yaml"), stage)
    return str(caught.value)


def path_of(project, stage="preflight"):
    return project.folder / "run" / stage / "clearance.json"


def outcomes(written, **changes):
    written["predicate"]["outcomes"] |= {code.replace("_", "-"): outcome for code, outcome in changes.items()}


def entry(written, name):
    return next(each for each in written["predicate"]["configuration"] if each["name"] == name)


EDITS = {
    "failed": (lambda w: outcomes(w, CFG_105="failed"), "an outcome that blocks: CFG-105 failed"),
    "crashed": (lambda w: outcomes(w, CFG_104="error"), "an outcome that blocks: CFG-104 error"),
    "not run": (lambda w: outcomes(w, CFG_104="not-run"), "an outcome that blocks: CFG-104 not-run"),
    "required, warned": (lambda w: outcomes(w, CFG_105="warned"), "an outcome that blocks: CFG-105 warned"),
    "required, not available": (lambda w: outcomes(w, CFG_105="not-available"), "CFG-105 not-available"),
    "unwaivable, waived": (lambda w: outcomes(w, DATA_100="waived"), "an outcome that blocks: DATA-100 waived"),
    "no outcome known": (lambda w: outcomes(w, CFG_105="fine"), "an outcome that blocks: CFG-105 fine"),
    "an outcome removed": (lambda w: w["predicate"]["outcomes"].pop("CFG-105"), "it has no outcome for CFG-105"),
    "failed tests": (lambda w: w["predicate"].update(failedTests=["CFG-105"]), "does not say that the checks passed"),
    "result": (lambda w: w["predicate"].update(result="FAILED"), "does not say that the checks passed"),
    "stage": (lambda w: w["predicate"].update(stage="postflight"), "it is a postflight clearance"),
    "type": (lambda w: w.update(predicateType="x"), "not an in-toto test-result statement"),
    "no digests": (lambda w: w["subject"][1]["digest"].clear(), "it is incomplete"),
    "no predicate": (lambda w: w.pop("predicate"), "it is incomplete: KeyError: 'predicate'"),
    "no subject": (lambda w: w.pop("subject"), "it is incomplete"),
    "an empty subject": (lambda w: w["subject"].clear(), "config is new since the clearance"),
    "a subject removed": (lambda w: w["subject"].pop(1), "train.jsonl is new since the clearance"),
    "outcomes are a list": (lambda w: w["predicate"].update(outcomes=[]), "it has no outcome for"),
    "a package's version": (
        lambda w: entry(w, "versions")["annotations"].update(transformers="4.0.0"),
        "transformers: 4.0.0 when cleared",
    ),
    "a package that is gone": (lambda w: entry(w, "versions")["annotations"].update(apex="1"), "not set now"),
    "a check": (lambda w: entry(w, "checks")["annotations"].update({"CFG-105": "0"}), "the check CFG-105 changed"),
    "no checks": (lambda w: w["predicate"]["configuration"].pop(0), "it is incomplete"),
}


def test_an_edited_statement_is_refused(project):
    """All edits on one cleared run: what was said in the wrong words, by edit."""
    project.clear()
    path = path_of(project)
    good = path.read_text(encoding="utf-8")
    said = {}
    for name, (edit, words) in EDITS.items():
        written = json.loads(good)
        edit(written)
        path.write_text(json.dumps(written))
        if words not in (text := refusal(project)):
            said[name] = text

    assert said == {}


TEXTS = {
    "empty": (lambda text: "", "is not readable"),
    "cut off": (lambda text: text[: len(text) // 2], "is not readable"),
    "not UTF-8": (lambda text: "\udcff", "is not readable"),
    "nested without end": (lambda text: "[" * 100_000, "is not readable"),
    "a list": (lambda text: f"[{text}]", "it is not a JSON object"),
    "null": (lambda text: "null", "it is not a JSON object"),
    "an empty object": (lambda text: "{}", "it is incomplete"),
    "a subject that is text": (lambda text: text.replace('"subject": [', '"subject": ["x", '), "it is incomplete"),
}


def test_a_file_that_is_no_clearance_is_refused(project):
    project.clear()
    path = path_of(project)
    good = path.read_text(encoding="utf-8")
    said = {}
    for name, (change, words) in TEXTS.items():
        path.write_text(change(good), encoding="utf-8", errors="surrogateescape")
        text = refusal(project)
        if words not in text or "pytest --preflight config.yaml" not in text:
            said[name] = text

    assert said == {}


def test_a_folder_in_its_place_is_refused(project):
    project.clear()
    path_of(project).unlink()
    path_of(project).mkdir()

    assert "is not readable" in refusal(project)


def test_no_clearance_is_refused(project):
    assert "no preflight clearance at" in refusal(project)
    assert "run `pytest --preflight config.yaml` and see it green" in refusal(project)


def test_a_clearance_of_the_other_stage_is_refused(project):
    project.clear()
    path_of(project, "postflight").parent.mkdir()
    path_of(project).rename(path_of(project, "postflight"))

    assert "it is a preflight clearance" in refusal(project, "postflight")
    assert "pytest --postflight config.yaml" in refusal(project, "postflight")


def test_the_trainer_refuses_and_says_what_changed(project, shell):
    """Exit status 3, before anything is loaded or written."""
    project.clear()
    rows = (project.folder / "train.jsonl").read_bytes().splitlines(keepends=True)
    (project.folder / "train.jsonl").write_bytes(b"".join([*rows, rows[0]]))

    ran = shell("config.yaml", module="preflight.trainer", PYTHONSAFEPATH="1")

    assert ran.code == 3
    assert "train.jsonl changed: 600 rows when cleared, 601 now" in ran.screen
    assert "Traceback" not in ran.screen
    assert [path.name for path in (project.folder / "run").iterdir()] == ["preflight"]


def test_the_trainer_refuses_without_a_clearance(project, shell):
    ran = shell("config.yaml", module="preflight.trainer", PYTHONSAFEPATH="1")

    assert ran.code == 3
    assert "no preflight clearance" in ran.screen
