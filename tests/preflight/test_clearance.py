"""The clearance: what it is, that a good one verifies, and that whatever differs is refused in words."""

import json
import shutil

import pytest

from preflight import clearance, registry
from preflight.config import load_config
from preflight.data import store


@pytest.fixture
def cleared(project, tiny):
    """A cleared project with a model folder of its own, to be tampered with; its folder."""
    shutil.copytree(tiny, project.folder / "model")
    project.set(model={"name_or_path": "model"}).clear()
    return project.folder


def verify(folder):
    return clearance.verify(load_config(folder / "config.yaml"), "preflight")


def refusal(folder):
    with pytest.raises(clearance.Refused) as caught:
        verify(folder)
    return str(caught.value)


def statement_of(folder):
    path = folder / "run" / "preflight" / "clearance.json"
    return path, json.loads(path.read_text(encoding="utf-8"))


def flip(path, position=-20):
    """Change one byte."""
    content = bytearray(path.read_bytes())
    content[position] ^= 1
    path.write_bytes(content)


def append(path, text):
    path.write_text(path.read_text(encoding="utf-8") + text, encoding="utf-8")


def replace(path, old, new):
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


def prepared_file(folder, split="train"):
    return store.folder_of(load_config(folder / "config.yaml")) / split / "data.arrow"


# --- a good one -------------------------------------------------------------------------------------------------------


def test_it_is_an_in_toto_statement_and_verifies(cleared):
    """The reference implementation of the in-toto attestation framework reads and accepts it."""
    from google.protobuf import json_format
    from in_toto_attestation.v1 import statement_pb2
    from in_toto_attestation.v1.statement import Statement

    path, written = statement_of(cleared)
    message = json_format.Parse(path.read_text(encoding="utf-8"), statement_pb2.Statement())
    Statement.copy_from_pb(message).validate()

    assert written["predicateType"] == "https://in-toto.io/attestation/test-result/v0.1"
    assert written["predicate"]["result"] == "PASSED"
    assert written["predicate"]["target"]["local"] is True
    assert {each["name"] for each in written["subject"]} >= {
        "config",
        "train.jsonl",
        "validation.jsonl",
        "model/config.json",
        "model/generation_config.json",
        "model/model.safetensors",
        "model/tokenizer.json",
        "model/chat_template.jinja",
        "prepared train",
        "prepared validation",
    }
    shipped = {code for code, meta in registry.shipped().items() if meta.stage == "preflight"}
    assert set(written["predicate"]["outcomes"]) == shipped
    assert verify(cleared) == written


def test_comments_and_key_order_do_not_matter(cleared):
    before = clearance.identity(verify(cleared))
    append(cleared / "config.yaml", "\n# a note\n")

    assert clearance.identity(verify(cleared)) == before


def test_how_the_model_will_be_evaluated_is_nothing_to_the_gate(cleared):
    before = clearance.identity(verify(cleared))
    append(cleared / "config.yaml", "\nevaluation: {max_examples: 3}\n")

    assert clearance.identity(verify(cleared)) == before


def test_what_was_waived_or_lowered_verifies(project):
    """The outcome of a required check may be waived, and that of one that the config lowers may be warned."""
    waiver = {"code": "CFG-103", "reason": "known", "by": "me", "expires": "2999-01-01"}
    project.set(lora={"r": 128}, training={"learning_rate": 0.5})
    project.set(gate={"severity": {"CFG-105": "advice"}, "waivers": [waiver]}).clear()

    outcomes = verify(project.folder)["predicate"]["outcomes"]
    assert (outcomes["CFG-103"], outcomes["CFG-105"]) == ("waived", "warned")


def test_a_strict_run_verifies(project):
    not_done = {"DATA-110": "advice", "DATA-113": "advice"}  # nobody has reviewed it, and few rows are held out
    assert project.set(gate={"severity": not_done}).gate("--preflight-strict").code == 0
    verify(project.folder)


# --- what was cleared changes -----------------------------------------------------------------------------------------


def remove_last_row(path):
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:-1]))


def add_row(path):
    path.write_bytes(path.read_bytes() + path.read_bytes().splitlines(keepends=True)[0])


def swap_link(path):
    """A link in the file's place that leads to another file."""
    other = path.with_name("other.jsonl")
    other.write_bytes(path.read_bytes())
    add_row(other)
    path.unlink()
    path.symlink_to(other)


CHANGES = {
    "a byte of the data": (lambda f: flip(f / "train.jsonl"), "train.jsonl changed: the same size, other content"),
    "a row more": (lambda f: add_row(f / "train.jsonl"), "train.jsonl changed: 600 rows when cleared, 601 now"),
    "a row less": (
        lambda f: remove_last_row(f / "validation.jsonl"),
        "validation.jsonl changed: 16 rows when cleared, 15 now",
    ),
    "the data is gone": (lambda f: (f / "train.jsonl").unlink(), "train.jsonl was cleared and is gone"),
    "a link elsewhere": (lambda f: swap_link(f / "train.jsonl"), "train.jsonl changed: 600 rows when cleared, 601 now"),
    "a value of the config": (
        lambda f: replace(f / "config.yaml", "0.0002", "0.0003"),
        "training.learning_rate: 0.0002 when cleared, 0.0003 now",
    ),
    "a key more": (
        lambda f: append(f / "config.yaml", "deployment: {scenario: single-adapter}\n"),
        "deployment.scenario: null when cleared, single-adapter now",
    ),
    "another data file": (
        lambda f: (shutil.copy(f / "train.jsonl", f / "b.jsonl"), replace(f / "config.yaml", "train.jsonl", "b.jsonl")),
        "b.jsonl is new since the clearance",
    ),
    "tokenizer": (lambda f: flip(f / "model/tokenizer.json"), "model/tokenizer.json changed"),
    "template": (
        lambda f: append(f / "model/chat_template.jinja", "{# new #}"),
        "model/chat_template.jinja changed",
    ),
    "a template more": (lambda f: (f / "model/added_tokens.json").write_text("{}"), "model/added_tokens.json is new"),
    "config.json": (lambda f: flip(f / "model/config.json"), "model/config.json changed: the same size"),
    "stop tokens": (lambda f: append(f / "model/generation_config.json", " "), "model/generation_config.json changed"),
    "a weight": (lambda f: flip(f / "model/model.safetensors"), "model/model.safetensors changed: the same size"),
    "weights are gone": (
        lambda f: (f / "model/model.safetensors").unlink(),
        "model.safetensors was cleared and is gone",
    ),
    "the model is gone": (lambda f: shutil.rmtree(f / "model"), "the folder model does not exist"),
    "prepared data": (lambda f: flip(prepared_file(f)), "prepared train changed: the same size, other content"),
    "prepared data is gone": (lambda f: prepared_file(f).unlink(), "the prepared data is damaged"),
    "packed data appears": (
        lambda f: shutil.copy(prepared_file(f, "validation"), prepared_file(f).with_name("packed.arrow")),
        "prepared train changed",
    ),
    "no prepared data": (
        lambda f: shutil.rmtree(f / "run/preflight/prepared"),
        "prepared train was cleared and is gone",
    ),
}


def test_a_change_is_refused_and_named(cleared, tmp_path_factory):
    """All changes to one cleared run, each undone: what was said in the wrong words, by change."""
    good = tmp_path_factory.mktemp("good") / "project"
    shutil.copytree(cleared, good)
    said = {}
    for name, (change, words) in CHANGES.items():
        change(cleared)
        if words not in (text := refusal(cleared)):
            said[name] = text
        shutil.rmtree(cleared)
        shutil.copytree(good, cleared)

    assert said == {}
    verify(cleared)


def test_only_causes_are_named(cleared):
    """The prepared data follows from the data: a person is told what they changed, and nothing else."""
    add_row(cleared / "train.jsonl")

    assert refusal(cleared).splitlines() == [
        "the clearance does not cover this run:",
        "  train.jsonl changed: 600 rows when cleared, 601 now",
        "Clear it again: pytest --preflight config.yaml",
    ]


def test_a_file_that_joins_a_glob_is_refused(project):
    project.set(data={"train": "tr*.jsonl"}).clear()
    shutil.copy(project.folder / "validation.jsonl", project.folder / "train2.jsonl")

    assert "train2.jsonl is new since the clearance" in refusal(project.folder)


def test_code_of_a_trusted_model_is_bound(project, tiny):
    shutil.copytree(tiny, project.folder / "model")
    project.text("# none\n", "model/modeling_own.py")
    project.set(model={"name_or_path": "model", "trust_remote_code": True}).clear()
    append(project.folder / "model/modeling_own.py", "# other")

    assert "model/modeling_own.py changed" in refusal(project.folder)


OWN = """
from preflight import check

@check('USER-001', 'own', severity='required', section=1, item='Ours')
def ours():
    pass
"""


def test_own_checks_are_bound(project):
    """Their files, their outcomes, and what they import from their own folder."""
    (project.folder / "mine").mkdir()
    project.text(OWN, "mine/own.py")
    project.text("LIMIT = 1\n", "mine/helper.py")
    project.set(gate={"checks": ["mine"]}).clear()
    path, written = statement_of(project.folder)
    verify(project.folder)

    del written["predicate"]["outcomes"]["USER-001"]
    path.write_text(json.dumps(written))
    assert "it has no outcome for USER-001" in refusal(project.folder)

    written["predicate"]["outcomes"]["USER-001"] = "passed"
    path.write_text(json.dumps(written))
    project.text("LIMIT = 2\n", "mine/helper.py")
    assert "the check mine/helper.py changed" in refusal(project.folder)

    shutil.rmtree(project.folder / "mine")
    assert "mine does not exist" in refusal(project.folder)
