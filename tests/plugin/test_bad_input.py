"""Whatever is wrong with what the user gives: a clear message, the right exit code, the rest judged, no traceback."""

import shutil

import pytest


def assert_no_crash(run):
    assert "Traceback" not in run.screen
    assert "INTERNALERROR" not in run.screen
    if run.report is not None:
        assert [check["code"] for check in run.report["checks"] if check["outcome"] == "error"] == []


# --- the config -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text, words",
    [
        (b"", "is empty"),
        (b"- a\n- b\n", "expected a mapping of sections at top level, got a list"),
        (b"name: [\n", "isn't valid YAML"),
        (b"\x89PNG\r\n\x1a\n\x00", ""),
        (b"name: a\nname: b\n", "the key is here twice: lines 1 and 2"),
        (b"trainin: {}\n", "training"),
    ],
)
def test_a_config_that_is_none(project, shell, text, words):
    (project.folder / "config.yaml").write_bytes(text)

    ran = shell("--preflight", "config.yaml")

    assert ran.code == 4
    assert "config.yaml" in ran.screen
    assert words in ran.screen
    assert "Traceback" not in ran.screen


@pytest.mark.parametrize("name", ["missing.yaml", ".", "train.jsonl/config.yaml"])
def test_a_config_that_is_not_there(project, shell, name):
    ran = shell("--preflight", name)

    assert ran.code == 4
    assert name in ran.screen
    assert "Traceback" not in ran.screen


def test_every_fault_of_a_config_at_once(project):
    run = project.set(training={"learning_rat": 1, "max_length": "long"}, lora={"rr": 3}).gate()

    assert run.code == 4
    assert [run.screen.count(key) > 0 for key in ("learning_rat", "max_length", "lora.rr")] == [True] * 3
    assert "Did you mean learning_rate" in run.screen


def test_a_byte_order_mark_is_read_over(project, shell):
    path = project.write()
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())

    assert shell("--preflight", "config.yaml", "-k", "CFG-105").code == 0


@pytest.mark.parametrize(
    "gate, words",
    [
        ({"severity": {"CFG-999": "advice"}}, "gate.severity.CFG-999: there is no check CFG-999"),
        ({"severity": {"DATA-100": "advice"}}, "DATA-100 can't be lowered"),
        ({"thresholds": {"CFG-105": {"lo": 1}}}, "CFG-105 has no threshold 'lo'; it has low, high"),
    ],
)
def test_a_gate_section_that_means_nothing(project, gate, words):
    run = project.set(gate=gate).gate()

    assert run.code == 4
    assert words in run.screen
    assert "config.yaml:" in run.screen


# --- the model --------------------------------------------------------------------------------------------------------


@pytest.fixture
def model(project, tiny):
    """The project's model as a folder of its own, to be damaged."""
    folder = project.folder / "model"
    shutil.copytree(tiny, folder)
    project.set(model={"name_or_path": "./model"})
    return folder


def test_a_model_folder_that_is_missing(project):
    run = project.set(model={"name_or_path": "./no_such_model"}).gate()

    assert run.code == 1
    assert run.outcome("CFG-110") == "failed"
    assert run.outcome("DATA-101") == "not-available"
    assert (run.outcome("CFG-105"), run.outcome("META-001")) == ("passed", "passed")
    assert run.screen.count("the folder ./no_such_model does not exist") <= 3  # said once, not by every check
    assert_no_crash(run)


DAMAGE = {
    "no weights": lambda model: (model / "model.safetensors").unlink(),
    "a cut weights file": lambda model: (model / "model.safetensors").write_bytes(b"\x10"),
    "no config.json": lambda model: (model / "config.json").unlink(),
    "a config.json that is none": lambda model: (model / "config.json").write_text("{"),
    "a config.json that is a list": lambda model: (model / "config.json").write_text("[]"),
    "no model type": lambda model: (model / "config.json").write_text("{}"),
    "an unknown model type": lambda model: (model / "config.json").write_text('{"model_type": "nonesuch"}'),
    "an odd number in config.json": lambda model: (model / "config.json").write_text(
        '{"model_type": "llama", "hidden_size": "big"}'
    ),
    "no tokenizer": lambda model: (model / "tokenizer.json").unlink(),
    "a broken tokenizer": lambda model: (model / "tokenizer.json").write_text("{}"),
    "a broken tokenizer_config": lambda model: (model / "tokenizer_config.json").write_text("["),
    "a broken template": lambda model: (model / "chat_template.jinja").write_text("{% for m in %}"),
    "no template": lambda model: (model / "chat_template.jinja").unlink(),
    "a broken generation_config": lambda model: (model / "generation_config.json").write_text("{"),
    "an odd generation_config": lambda model: (model / "generation_config.json").write_text("[]"),
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_a_model_that_is_damaged(project, model, damage):
    """Red, with no crash, and what does not rest on the model is judged all the same."""
    damage(model)

    run = project.gate()

    assert_no_crash(run)
    assert (run.code, run.report["verdict"]) == (1, "red")
    assert (run.outcome("CFG-105"), run.outcome("META-001")) == ("passed", "passed")


# --- the data ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "make, words",
    [
        (lambda data: data.unlink(), "train.jsonl does not exist; beside it: validation.jsonl"),
        (lambda data: data.write_bytes(b""), "the file is empty"),
        (lambda data: data.write_bytes(b"\n\n"), "data has no rows"),
        (lambda data: (data.unlink(), data.mkdir()), "the folder train.jsonl holds no data file"),
        (lambda data: data.write_bytes(b"\xff\xfe{}"), "not UTF-8"),
        (lambda data: data.write_bytes(b"{]\n" * 9), "not JSON"),
        (lambda data: data.write_bytes(b"[1]\n"), "a row must be an object"),
    ],
    ids=["missing", "empty", "blank", "directory", "not-utf8", "not-json", "not-objects"],
)
def test_training_data_that_is_none(project, make, words):
    make(project.folder / "train.jsonl")

    run = project.gate()

    assert_no_crash(run)
    assert (run.code, run.outcome("DATA-100")) == (1, "failed")
    assert any(words in finding["message"] for finding in run.findings("DATA-100"))
    assert words in run.screen
    assert (run.outcome("CFG-105"), run.outcome("CFG-101")) == ("passed", "passed")


def test_validation_data_that_is_missing(project):
    (project.folder / "validation.jsonl").unlink()

    run = project.gate()

    assert_no_crash(run)
    assert (run.code, run.outcome("DATA-100")) == (1, "failed")
    assert run.outcome("DATA-102") == "passed"


# --- the output -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["train.jsonl", "train.jsonl/x"])
def test_an_output_folder_that_cannot_be_made(project, name):
    """There is no place for the report that every run leaves, so the gate does not start."""
    run = project.set(training={"output_dir": name}).gate()

    assert run.code == 4
    assert "training.output_dir: can't write to" in run.screen
    assert "--preflight-output DIR" in run.screen
    assert "config.yaml:" in run.screen
    assert_no_crash(run)


def test_an_output_option_that_cannot_be_made(project):
    run = project.gate("--preflight-output", "train.jsonl")

    assert run.code == 4
    assert "--preflight-output: can't write to" in run.screen
    assert "training.output_dir" not in run.screen
    assert_no_crash(run)
