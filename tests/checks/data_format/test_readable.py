"""DATA-100: every data file and row can be read. What each format's reader finds is in tests/preflight/data."""

import gzip
import json

import pytest

CODE = "DATA-100"
MESSAGES = [{"role": "user", "content": "Hé"}, {"role": "assistant", "content": "Hi"}]
ROW = json.dumps({"messages": MESSAGES}, ensure_ascii=False)
CSV = "prompt,completion\n"

BROKEN = [
    # name           content                                       where              in the message
    ("01.jsonl", f"{ROW}\n{{'a': 1}}\n{ROW}\n", "01.jsonl:2", "not JSON: Expecting property name"),
    ("02.jsonl", f"{ROW}\n[1, 2]\n", "02.jsonl:2", "a row must be an object, this is a list: [1, 2]"),
    ("03.jsonl", "", "03.jsonl", "the file is empty"),
    ("04.jsonl", f"{ROW}\n".encode("utf-16"), "04.jsonl", "not UTF-8: byte 0xff; the file looks like UTF-16"),
    ("05.jsonl", f"{ROW}\n".encode("latin-1"), "05.jsonl:1", "not UTF-8: byte 0xe9 at column 45"),
    ("06.json", f"[{ROW},\n{ROW}\n5]", "06.json:3", "not JSON: Expecting ',' delimiter"),
    ("07.json", f"[{ROW}, 5]", "07.json row 2", "this is a number"),
    ("08.csv", f"{CSV}a,b\na,b,c\n", "08.csv:3", "not 2 columns like the header, but 3"),
    ("09.parquet", "PAR1 and no more", "09.parquet", "not Parquet beyond row 0"),
    ("10.arrow", "no more", "10.arrow", "not Arrow beyond row 0"),
    ("11.jsonl.gz", gzip.compress(f"{ROW}\n{{\n".encode()), "11.jsonl.gz:2", "not JSON"),
]


def place(project, files):
    """Write files and train on them all."""
    for name, content in files.items():
        (project.folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    project.set(data={"train": list(files)})


def test_each_broken_place_is_found(project, expect):
    place(project, {name: content for name, content, *_ in BROKEN})
    findings = expect(CODE, "failed")

    assert len(findings) == len(BROKEN), [finding["message"] for finding in findings]
    for finding, (_, _, where, message) in zip(findings, BROKEN, strict=True):
        assert finding["where"] == where
        assert message in finding["message"]
        assert finding["fix"]
    assert findings[0]["fix"] == "Correct the line or delete it."
    assert findings[2]["fix"] == "Correct the file, or its name in data.train."
    assert "iconv -f UTF-16 -t UTF-8 04.jsonl > utf-8-04.jsonl" in findings[3]["fix"]
    assert "iconv -f WINDOWS-1252 -t UTF-8 05.jsonl > utf-8-05.jsonl" in findings[4]["fix"]


def test_a_fault_of_many_rows_is_one_finding(project, expect):
    project.text(f'{ROW}\n{{"a\n' * 7 + "{{\n" * 2 + "5\n" * 300)
    findings = expect(CODE, "failed")

    assert [finding["where"] for finding in findings] == [f"train.jsonl:{line}" for line in (2, 15, 16, 17)]
    assert findings[0]["observed"].startswith("at least 7 rows: train.jsonl:2, train.jsonl:4, ")
    assert findings[3]["observed"].startswith("at least 191 rows: train.jsonl:17, ")


def test_names_that_lead_nowhere_are_found(project, expect, monkeypatch):
    monkeypatch.setattr("datasets.config.HF_HUB_OFFLINE", True)
    project.text(ROW, "train.txt")
    cases = {
        "trian.jsonl": "trian.jsonl does not exist; beside it: train.jsonl, validation.jsonl",
        "data-*.jsonl": "no file matches data-*.jsonl",
        "train.txt": "train.txt is not one of .jsonl, .json, .csv, .parquet, .arrow; ",
        "some/dataset": "some/dataset is no path here, and HF_HUB_OFFLINE is set",
        "model": "model does not exist",
    }
    findings = expect(CODE, "failed") if project.set(data={"train": ["train.jsonl", *cases]}) else []

    assert len(findings) == len(cases)
    for finding, (name, message) in zip(findings, cases.items(), strict=True):
        assert finding["where"] == name
        assert finding["message"].startswith(message)
        assert finding["fix"]


def test_files_without_rows_are_found(project, expect):
    place(project, {"a.jsonl": "\n \n", "a.json": "[]", "a.csv": CSV})
    (finding,) = expect(CODE, "failed")

    assert finding["message"] == "the train data has no rows"
    assert finding["where"].startswith("config.yaml:")


@pytest.mark.parametrize("content, message", [("", "the file is empty"), ("\n", "the validation data has no rows")])
def test_validation_data_is_judged_too(project, expect, content, message):
    project.text(content, "validation.jsonl")

    assert [finding["message"] for finding in expect(CODE, "failed")] == [message]


def test_every_broken_line_is_found_and_the_rest_still_judged(project):
    lines = (project.folder / "train.jsonl").read_text().splitlines()
    lines[9] = lines[9][:-5]
    lines[599] = "]"
    project.text("\n".join(lines))
    run = project.gate()

    assert [finding["where"] for finding in run.findings(CODE)] == ["train.jsonl:10", "train.jsonl:600"]
    assert run.outcome("DATA-102") == "passed"
    assert run.check("DATA-102")["evidence"]["rows"] == 598


def test_a_broken_row_behind_many_of_wrong_shape_is_found(project, expect):
    project.text('{"a": 1}\n' * 300 + "{\n")

    assert expect(CODE, "failed")[0]["where"] == "train.jsonl:301"


def test_sound_files_of_all_kinds_pass(project, expect):
    import datasets

    place(
        project,
        {
            "01.jsonl": "\ufeff" + f"{ROW}\n",
            "02.jsonl.gz": gzip.compress(f"{ROW}\n".encode()),
            "03.json": json.dumps([{"messages": MESSAGES}] * 3, indent=1),
            "04.csv": f'messages\n"{json.dumps(MESSAGES).replace(chr(34), chr(34) * 2)}"\n',
        },
    )
    dataset = datasets.Dataset.from_list([{"messages": MESSAGES}] * 5)
    for name in ("a", "b"):
        (project.folder / name).mkdir()
        dataset.to_parquet(project.folder / name / "x.parquet")
    both = datasets.DatasetDict({"train": dataset, "validation": dataset})
    both.save_to_disk(project.folder / "saved")
    project.set(data={"train": [*project.config["data"]["train"], "a", "b/*.parquet", "saved"], "validation": "saved"})
    run = project.gate("-k", f"{CODE} or DATA-101")

    assert run.outcome(CODE) == run.outcome("DATA-101") == "passed", run.screen
    assert run.check(CODE)["evidence"] == {"rows": 6 + 15 + 5, "files": 8}


def test_rows_of_files_with_the_same_name_are_told_apart(project, expect):
    for name in ("a", "b"):
        (project.folder / name).mkdir()
        project.text("{\n", f"{name}/train.jsonl")
    project.set(data={"train": ["a", "train.jsonl"], "validation": "b"})

    assert [finding["where"] for finding in expect(CODE, "failed")] == ["a/train.jsonl:1", "b/train.jsonl:1"]
