"""DATA-100: every data file and row can be read. Many files are judged in one run, a finding each."""

import json

import pytest

CODE = "DATA-100"
MESSAGES = [{"role": "user", "content": "Hé"}, {"role": "assistant", "content": "Hi"}]
ROW = json.dumps({"messages": MESSAGES}, ensure_ascii=False)
CSV = "prompt,completion\n"

BROKEN = [
    # suffix   content                                      line  in the message
    ("jsonl", f"{ROW}\n{{'a': 1}}\n{ROW}\n", 2, "not JSON: Expecting property name"),
    ("jsonl", f"{ROW}\n{ROW[:-5]}", 2, "not JSON: Unterminated string"),
    ("jsonl", f'{ROW}\n{{"text": "a"\n', 2, '{"text": "a"\n                ^'),
    ("jsonl", '{"text": "a", text: 1}\n', 1, '{"text": "a", text: 1}\n                  ^'),
    ("jsonl", f"{ROW}\n[1, 2]\n", 2, "a row must be an object, this is a list: [1, 2]"),
    ("jsonl", f'""\n{ROW}\n', 1, "this is text"),
    ("jsonl", f"\n\n{ROW}\nnull\n", 4, "this is null"),
    ("jsonl", "", None, "the file is empty"),
    ("jsonl", f"{ROW}\n".encode("utf-16"), None, "byte 0xff; it is UTF-16 or UTF-32: save the file as UTF-8"),
    ("jsonl", f"{ROW}\n".encode("latin-1"), 1, "not UTF-8: byte 0xe9 at column 45"),
    ("jsonl", '{"text": "\\ud83d"}\n', 1, "half a character: \\ud83d is one half"),
]
BROKEN_OTHERS = [
    ("json", f"[{ROW}]".encode("utf-16"), None, "byte 0xff; it is UTF-16"),
    ("json", f"[\n{ROW}]".encode("latin-1"), 2, "not UTF-8: byte 0xe9"),
    ("json", '{"a": 1}', 1, "must hold a list of rows, this holds an object"),
    ("json", f"{ROW}\n{ROW}", 2, "rename it to .jsonl"),
    ("json", f"[{ROW},\n{ROW}\n5]", 3, "not JSON: Expecting ',' delimiter"),
    ("json", f"[{ROW}, 5]", 2, "this is a number"),
    ("json", '[{"text": "\\udc00"}]', 1, "half a character"),
    ("csv", f"{CSV}a,b\né,c\n".encode("latin-1"), 3, "byte 0xe9 at column 1"),
    ("csv", f"{CSV}a,b\na,b,c\n", 3, "not 2 columns like the header"),
    ("csv", f"{CSV}a\n", 2, "not 2 columns like the header"),
    ("parquet", "PAR1 and no more", None, "not Parquet beyond row 0"),
]


def place(project, cases):
    """Write a file for each case and train on them all."""
    names = [f"{number:02}.{suffix}" for number, (suffix, *_) in enumerate(cases)]
    for name, (_, content, *_) in zip(names, cases, strict=True):
        (project.folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    project.set(data={"train": names})
    return names


@pytest.mark.parametrize("cases", [BROKEN, BROKEN_OTHERS], ids=["jsonl", "others"])
def test_each_broken_place_is_found(project, expect, cases):
    names = place(project, cases)
    findings = expect(CODE, "failed")

    assert len(findings) == len(cases), [finding["message"] for finding in findings]
    for finding, name, (_, _, line, message) in zip(findings, names, cases, strict=True):
        assert finding["where"] == (f"{name}:{line}" if line else name)
        assert message in finding["message"]
        assert finding["fix"] == (
            "Correct the line or delete it." if line else "Correct the file, or its name in data.train."
        )


def test_names_that_lead_nowhere_are_found(project, expect):
    project.text(ROW, "train.txt")
    cases = {
        "trian.jsonl": "trian.jsonl does not exist; beside it: train.jsonl, validation.jsonl",
        "nowhere/train.jsonl": "nowhere/train.jsonl does not exist",
        ".": ". is a directory; name the files in it, or a glob: ./*.jsonl",
        "data-*.jsonl": "no file matches data-*.jsonl",
        "train.txt": "train.txt is not one of .jsonl, .json, .csv, .parquet",
    }
    findings = expect(CODE, "failed") if project.set(data={"train": ["train.jsonl", *cases]}) else []

    assert [finding["message"] for finding in findings] == list(cases.values())
    assert {finding["fix"] for finding in findings} == {"Correct the file, or its name in data.train."}


def test_files_without_rows_are_found(project, expect):
    place(project, [("jsonl", "\n \n"), ("json", "[]"), ("csv", CSV)])
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


SOUND = [
    ("jsonl", "\ufeff" + f"{ROW}\n"),
    ("jsonl", f"\n{ROW}\n\n  \n{ROW}\n\n"),
    ("jsonl", f"{ROW}\r\n{ROW}\r\n"),
    ("jsonl", f"{ROW}\n{ROW}"),
    ("jsonl", '{"text": "a\u2028b\u0085c"}\n'),
    ("jsonl", '{"text": "\\ud83e\\ude94 \\u0000"}\n'),
    ("json", "\ufeff" + json.dumps([{"messages": MESSAGES}] * 3, indent=1)),
    ("csv", f'\ufeff{CSV}"a, ""b""\nc",d\r\n\r\ne,"{"f" * 200_000}"\r\n'),
]


def test_sound_files_pass(project, expect):
    import pyarrow as pa
    import pyarrow.parquet as pq

    names = place(project, SOUND)
    (project.folder / "more").mkdir()
    pq.write_table(pa.Table.from_pylist([{"messages": MESSAGES}] * 3), project.folder / "more" / "x.parquet")
    run = project.set(data={"train": [*names, "more/*.parquet"]}).gate("-k", CODE)

    assert run.outcome(CODE) == "passed", run.screen
    assert run.check(CODE)["evidence"] == {"rows": 17 + 16, "files": 10}
