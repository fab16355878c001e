"""Every format is read to the same rows, and whatever is broken in a file is one place, with the rest still read."""

import codecs
import gzip
import json
import re
import shutil
from pathlib import Path
from unittest import mock

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from preflight.data import readers
from preflight.data.readers import Broken, Row, array, rows

MESSAGES = [{"role": "user", "content": "Hé"}, {"role": "assistant", "content": "Hi"}]
ROW = json.dumps({"messages": MESSAGES}, ensure_ascii=False)
OTHER = ROW.replace("Hé", "Hö")
CSV = "prompt,completion\n"
FRENCH = "Où est la bibliothèque ? Déjà vu, l'été, garçon, naïve."


def read(folder, name, content):
    """The file's rows, and the places that aren't rows."""
    file = folder / name
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    items = list(readers.read(file))
    return [item for item in items if isinstance(item, Row)], [item for item in items if isinstance(item, Broken)]


# --- what is right ----------------------------------------------------------------------------------------------------

SAMPLE = [{"messages": MESSAGES, "id": number} for number in range(2500)]


def written(folder, rows, name):
    """The rows in the format of the name, as other tools write it."""
    file = folder / name
    table = pa.Table.from_pylist(rows)
    text = {
        ".jsonl": lambda: "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows),
        ".json": lambda: json.dumps(rows, indent=2),
    }.get("." + name.split(".")[1], str)()
    match name.partition(".")[2]:
        case "jsonl" | "json":
            file.write_text(text, encoding="utf-8")
        case "jsonl.gz" | "json.gz":
            file.write_bytes(gzip.compress(text.encode()))
        case "jsonl.zst" | "json.zst":
            with pa.output_stream(file, compression="zstd") as sink:
                sink.write(text.encode())
        case "parquet":
            pq.write_table(table, file)
        case "arrow":
            new = pa.ipc.new_stream if name == "stream.arrow" else pa.ipc.new_file
            with pa.OSFile(str(file), "wb") as sink, new(sink, table.schema) as writer:
                writer.write_table(table, 1000)
    return file


@pytest.mark.parametrize(
    "name",
    [
        *("train.jsonl", "train.jsonl.gz", "train.jsonl.zst", "train.json", "train.json.gz", "train.json.zst"),
        *("train.parquet", "file.arrow", "stream.arrow"),
    ],
)
def test_each_format_gives_the_same_rows(tmp_path, name):
    found = list(readers.read(written(tmp_path, SAMPLE, name)))

    assert [row.value for row in found] == SAMPLE
    assert [row.line for row in found] == list(range(1, len(SAMPLE) + 1))
    by_line = name.startswith("train.jsonl")
    assert found[2].where == (f"{name}:3" if by_line else f"{name} row 3")


SOUND = [
    # name        content                                                       rows
    ("a.jsonl", "\ufeff" + f"{ROW}\n", 1),
    ("a.jsonl", f"{ROW}\n\ufeff{ROW}\n", 2),  # two files with a byte order mark, put together
    ("a.jsonl", f"\n{ROW}\n\n  \n{ROW}\n\n", 2),
    ("a.jsonl", f"{ROW}\r\n{ROW}\r\n", 2),
    ("a.jsonl", f"{ROW}\n{ROW}", 2),
    ("a.jsonl", f"  {ROW} \t\n", 1),
    ("a.jsonl", '{"text": "a\u2028b\u0085c"}\n', 1),
    ("a.jsonl", '{"text": "\\ud83e\\ude94 \\u0000 \\\\ud83d \\ud83e\\ude94\\ud83e\\ude94"}\n', 1),
    ("A.JSONL", f"{ROW}\n", 1),
    ("a.jsonl", f"[\n{ROW},\n{ROW}\n]\n", 2),  # a list under the other name, and the other way round
    ("a.json", f"{ROW}\n{ROW}\n", 2),
    ("a.json", "\ufeff" + json.dumps([{"messages": MESSAGES}] * 3, indent=1), 3),
    ("a.json", f"[{ROW},{ROW}]", 2),
    ("a.json", f"\n [ {ROW} ,\n\n {ROW} ] \n", 2),
    ("a.json", " [ ] ", 0),
    ("a.csv", f'\ufeff{CSV}"a, ""b""\nc",d\r\n\r\ne,"{"f" * 200_000}"\r\n', 2),
    ("a.csv", "prompt;completion\na,b;c\n", 1),
    ("a.csv", "prompt\tcompletion\na;b\t\n", 1),
    ("a.csv", "text\none column; and this\n", 1),
    ("a.csv.gz", gzip.compress(f"{CSV}a,b\n".encode(), mtime=0), 1),
    ("a.jsonl.gz", gzip.compress(f"{ROW}\n".encode()) + gzip.compress(f"{ROW}\n".encode()), 2),
]


@pytest.mark.parametrize("name, content, count", SOUND)
def test_a_sound_file_is_read_whole(tmp_path, name, content, count):
    found, broken = read(tmp_path, name, content)

    assert (len(found), broken) == (count, [])


def test_what_separates_csv_columns_is_read_off_the_header(tmp_path):
    assert read(tmp_path, "a.csv", "prompt;completion\na,b;c\n")[0][0].value == {"prompt": "a,b", "completion": "c"}


def test_a_csv_row_is_named_by_its_first_line(tmp_path):
    found, _ = read(tmp_path, "a.csv", f'{CSV}"a\nb\nc",d\n\ne,f\n')

    assert [row.where for row in found] == ["a.csv:2", "a.csv:6"]


# --- what is broken ---------------------------------------------------------------------------------------------------

BROKEN = [
    # name        content                                       where           in the problem                    rows
    ("a.jsonl", f"{ROW}\n{{'a': 1}}\n{ROW}\n", "a.jsonl:2", "not JSON: Expecting property name", 2),
    ("a.jsonl", f"{ROW}\n{ROW[:-5]}", "a.jsonl:2", "not JSON: Unterminated string", 1),
    ("a.jsonl", f'{ROW}\n{{"text": "a"\n', "a.jsonl:2", '{"text": "a"\n                ^', 1),
    ("a.jsonl", '{"text": "a", text: 1}\n', "a.jsonl:1", '{"text": "a", text: 1}\n                  ^', 0),
    ("a.jsonl", f"{ROW}{ROW}\n{ROW}", "a.jsonl:1", "not JSON: Extra data", 1),
    ("a.jsonl", f"{ROW}\n[1, 2]\n", "a.jsonl:2", "a row must be an object, this is a list: [1, 2]", 1),
    ("a.jsonl", f'""\n{ROW}\n', "a.jsonl:1", "this is text", 1),
    ("a.jsonl", f"\n\n{ROW}\nnull\n", "a.jsonl:4", "this is null", 1),
    ("a.jsonl", f"[1, 2\n{ROW}\n", "a.jsonl:1", "not JSON: Expecting ',' delimiter", 1),
    ("a.jsonl", "", "a.jsonl", "the file is empty", 0),
    ("a.jsonl", '{"text": "\\ud83d"}\n' + ROW, "a.jsonl:1", "half a character: \\ud83d is one half", 1),
    ("a.jsonl", '{"text": "\\\\ud83d\\ude94"}\n' + ROW, "a.jsonl:1", "half a character: \\ude94", 1),
    ("a.jsonl", f"{ROW}\n{ROW}\n".encode().replace(b"H\xc3", b"H", 1), "a.jsonl:1", "not UTF-8: byte 0xa9", 1),
    ("a.json", f"[{ROW},\n{ROW}\n5]", "a.json:3", "not JSON: Expecting ',' delimiter\n    5]\n    ^", 2),
    ("a.json", f"[{ROW}\n{ROW},\n{ROW}]", "a.json:2", "not JSON: Expecting ',' delimiter", 3),
    ("a.json", f"[{ROW},\n{ROW},\n]", "a.json:3", "a comma behind the last row", 2),
    ("a.json", f"[{ROW}]\n{ROW}", "a.json:2", "text behind the list", 1),
    ("a.json", f"[{ROW},\n{ROW}", "a.json:2", "the list is never closed: the file is cut off", 2),
    ("a.json", f"[{ROW},\n{ROW[:-20]}", "a.json:2", "not JSON: Expecting ',' delimiter", 1),
    ("a.json", f"[{ROW},\n{ROW[:20]}\n{ROW},\n{ROW}]", "a.json:2", "not JSON", 3),
    ("a.json", f"[{ROW},\n{ROW.replace(':', ' ')},\n{ROW}]", "a.json:2", "not JSON: Expecting ':' delimiter", 2),
    ("a.json", f"[{{'a': 1}},\n{ROW}]", "a.json:1", "not JSON: Expecting property name", 0),
    ("a.json", f"[{ROW}, 5, {ROW}]", "a.json row 2", "a row must be an object, this is a number", 2),
    ("a.json", '[{"text": "\\udc00"}, {}]', "a.json row 1", "half a character", 1),
    ("a.json", '{"data": [1], "b": 2}', "a.json:1", "a list of rows, this holds an object with the keys data, b", 0),
    ("a.json", f"{{\n{ROW[1:]}\n", "a.json:1", "a list of rows, this holds an object with the keys messages", 0),
    ("a.json", '"a"', "a.json:1", "a list of rows, this holds text", 0),
    ("a.json", "a", "a.json:1", "not JSON: Expecting value", 0),
    ("a.json", f"[{ROW},\n{ROW}]".encode().replace(b"H\xc3", b"H", 1), "a.json:1", "not UTF-8: byte 0xa9", 2),
    ("a.csv", f"{CSV}a,b\na,b,c\nd,e\n", "a.csv:3", "not 2 columns like the header, but 3", 2),
    ("a.csv", f"{CSV}a\n", "a.csv:2", "not 2 columns like the header, but 1", 0),
    ("a.csv", f'{CSV}a,b\nc,"d\ne,f\ng,h\n', "a.csv:3", "the quote that opens a cell here is never closed", 3),
    ("a.csv", f'{CSV}"a"b,c\nd,e\n', "a.csv:2", "not CSV: ',' expected after", 1),
    ("a.csv", "text,text\na,b\n", "a.csv:1", "several columns are named 'text'", 1),
    ("a.parquet", "PAR1 and no more", "a.parquet", "not Parquet beyond row 0", 0),
    ("a.arrow", "ARROW1 and no more", "a.arrow", "not Arrow beyond row 0", 0),
    ("a.jsonl.gz", f"{ROW}\n", "a.jsonl.gz", "can't be read: zlib inflate failed", 0),
    ("a.jsonl.zst", f"{ROW}\n", "a.jsonl.zst", "can't be read: ZSTD decompress failed", 0),
]


@pytest.mark.parametrize("name, content, where, problem, count", BROKEN)
def test_each_broken_place_is_one_problem_and_the_rest_is_read(tmp_path, name, content, where, problem, count):
    found, broken = read(tmp_path, name, content)

    assert [item.where for item in broken] == [where], broken
    assert problem in broken[0].problem
    assert len(found) == count


ENCODED = [
    # text                                                encoding      in the fix
    (FRENCH, "latin-1", "iconv -f WINDOWS-1252 -t UTF-8 a.{} > utf-8-a.{}"),
    ("Hé", "cp1252", "iconv -f WINDOWS-1252"),
    ("It’s a “test” – really…", "cp1252", "iconv -f WINDOWS-1252"),
    ("Größe, Straße, für Österreich", "cp1252", "iconv -f WINDOWS-1252"),
    ("Привет, как у вас дела сегодня?", "cp1251", "iconv -f WINDOWS-1251"),
    ("Zażółć gęślą jaźń, proszę bardzo", "cp1250", "iconv -f WINDOWS-1250"),
    ("こんにちは、元気ですか。東京に行きます。", "shift_jis", "iconv -f SHIFT_JIS"),
    ("你好，今天天气怎么样？我们去北京。", "gb18030", "iconv -f GB18030"),
    ("안녕하세요 오늘 날씨가 어때요", "euc_kr", "iconv -f EUC-KR"),
]


@pytest.mark.parametrize("suffix", ["jsonl", "json", "csv"])
@pytest.mark.parametrize("text, encoding, fix", ENCODED)
def test_another_encoding_is_one_problem_and_the_text_is_read_in_it(tmp_path, suffix, text, encoding, fix):
    wanted = [{"text": f"{text} {number}"} for number in range(3)]
    content = {
        "jsonl": "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in wanted),
        "json": json.dumps(wanted, ensure_ascii=False),
        "csv": "text\n" + "".join(f'"{row["text"]}"\n' for row in wanted),
    }[suffix]
    found, (broken,) = read(tmp_path, f"a.{suffix}", content.encode(encoding))

    assert [row.value for row in found] == wanted
    assert broken.where == f"a.{suffix}:{2 if suffix == 'csv' else 1}"
    assert "not UTF-8: byte 0x" in broken.problem
    assert fix.replace("{}", suffix) in broken.fix


@pytest.mark.parametrize("suffix", ["jsonl", "json", "csv", "jsonl.gz"])
@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be"])
def test_utf_16_and_32_are_one_problem(tmp_path, suffix, encoding):
    content = {"json": f"[{ROW}]", "csv": f"{CSV}a,b\n"}.get(suffix, ROW).encode(encoding)
    found, (broken,) = read(tmp_path, f"a.{suffix}", gzip.compress(content) if suffix.endswith("gz") else content)

    assert (found, broken.where) == ([], f"a.{suffix}")
    assert "not UTF-8: byte 0x" in broken.problem
    name = re.search(r"iconv -f (\S+) -t UTF-8", broken.fix)[1]
    assert codecs.lookup(name) == codecs.lookup(encoding)


def test_a_few_damaged_bytes_are_not_taken_for_another_encoding(tmp_path):
    content = (f"{ROW}\n" * 9).encode().replace(b"H\xc3\xa9", b"H\xe9", 2)
    found, broken = read(tmp_path, "a.jsonl", content)

    assert [item.where for item in broken] == ["a.jsonl:1", "a.jsonl:2"]
    assert {item.fix for item in broken} == {""}
    assert len(found) == 7


@pytest.mark.parametrize("suffix", ["jsonl.gz", "jsonl.zst", "json.gz"])
def test_a_packed_file_that_is_cut_off_is_read_as_far_as_it_goes(tmp_path, suffix):
    whole = written(tmp_path, [{"text": f"{number} {hash(str(number))}"} for number in range(20_000)], f"x.{suffix}")
    found, broken = read(tmp_path, f"a.{suffix}", whole.read_bytes()[:-2000])

    assert len(found) > 5000
    assert re.search(rf"can't be read beyond a\.{suffix}.*: Truncated", broken[-1].problem), broken


def test_a_damaged_arrow_file_is_one_problem(tmp_path):
    content = bytearray(written(tmp_path, SAMPLE, "stream.arrow").read_bytes())
    place = content.find(b"assistant")
    content[place] = 0xFF
    found, (broken,) = read(tmp_path, "a.arrow", bytes(content))

    assert found == []
    assert broken.problem.startswith("not Arrow beyond row 0: ")


def test_text_that_is_not_utf_8_in_parquet_is_one_row(tmp_path):
    binary = pa.array([b"a", b"\xff", b"c"], pa.binary())
    texts = pa.Array.from_buffers(pa.string(), 3, binary.buffers())
    pq.write_table(pa.table({"text": texts}), tmp_path / "a.parquet")
    items = list(readers.read(tmp_path / "a.parquet"))

    assert [item.where for item in items] == ["a.parquet row 1", "a.parquet row 2", "a.parquet row 3"]
    assert [type(item) for item in items] == [Row, Broken, Row]


@settings(max_examples=500, deadline=None)
@given(st.lists(st.sampled_from(["\\ud83d", "\\uDE94", "\\\\", "ud83d", "ude94", "\\u00e9", "x", "\\n"])).map("".join))
def test_half_a_character_is_never_overlooked(text):
    written = f'"{text}"'

    assert rows.HALF.search(written) or not rows.flaw(json.loads(written))


@pytest.mark.parametrize("chunk", [1, 2, 3, 7, 50, 1000])
@pytest.mark.parametrize(
    "content",
    [content for name, content, *_ in [*SOUND, *BROKEN] if name == "a.json"],
)
def test_a_json_file_is_read_the_same_in_whatever_pieces(tmp_path, monkeypatch, content, chunk):
    whole = read(tmp_path, "a.json", content)
    monkeypatch.setattr(array, "CHUNK", chunk)
    in_pieces = read(tmp_path, "a.json", content)

    assert [row.value for row in in_pieces[0]] == [row.value for row in whole[0]]
    assert [item.where for item in in_pieces[1]] == [item.where for item in whole[1]]


def test_a_long_json_file_is_held_in_small_pieces(tmp_path):
    import tracemalloc

    file = tmp_path / "a.json"
    with file.open("w") as stream:
        stream.write("[")
        for number in range(40_000):
            stream.write(f'{"," if number else ""}\n{{"text": "{number} {"lamp " * 100}"}}')
        stream.write("]")
    tracemalloc.start()
    assert sum(isinstance(item, Row) for item in readers.read(file)) == 40_000
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert peak < 2e6 < file.stat().st_size / 10


# --- which files ------------------------------------------------------------------------------------------------------


def find(folder, paths, split="train"):
    files, problems = readers.find_files(folder, paths, split)
    return [file.relative_to(folder).as_posix() for file in files], [broken.problem for broken in problems]


@pytest.fixture
def tree(tmp_path):
    """Files to be found, and some that aren't data."""
    for name in ("train.jsonl", "b/2.csv", "b/1.jsonl.gz", "b/README.md", "b/.hidden.jsonl", "b/c/3.json", "x.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("")
    (tmp_path / "empty").mkdir()
    return tmp_path


@pytest.mark.parametrize(
    "paths, found",
    [
        ("train.jsonl", ["train.jsonl"]),
        ("b/*.csv", ["b/2.csv"]),
        ("b/**/*.js*", ["b/1.jsonl.gz", "b/c/3.json"]),
        ("b", ["b/1.jsonl.gz", "b/2.csv"]),
        ("./b/", ["b/1.jsonl.gz", "b/2.csv"]),
        (["b/2.csv", "train.jsonl", "b/c"], ["b/2.csv", "train.jsonl", "b/c/3.json"]),
    ],
)
def test_paths_globs_and_folders_lead_to_files(tree, paths, found):
    assert find(tree, paths) == (found, [])


@pytest.mark.parametrize(
    "paths, problem",
    [
        ("trian.jsonl", "trian.jsonl does not exist; beside it: train.jsonl"),
        ("nowhere/train.jsonl", "nowhere/train.jsonl does not exist"),
        ("b/train", "b/train does not exist; beside it: 1.jsonl.gz, 2.csv"),  # no id of the hub: the folder is there
        ("a/b/c/d/e", "a/b/c/d/e does not exist"),
        ("empty", "the folder empty holds no data file; known are .jsonl"),
        ("data-*.jsonl", "no file matches data-*.jsonl"),
        (
            "*.txt",
            "x.txt is not one of .jsonl, .json, .csv, .parquet, .arrow; .jsonl, .json, .csv also with .gz or .zst",
        ),
        ("x.txt", "x.txt is not one of .jsonl"),
        (["train.jsonl", "*.jsonl"], "train.jsonl is named twice, the second time by *.jsonl"),
    ],
)
def test_names_that_lead_nowhere_are_problems(tree, paths, problem):
    assert find(tree, paths)[1] == [find(tree, paths)[1][0]]
    assert find(tree, paths)[1][0].startswith(problem)


def test_a_parquet_file_is_not_packed_again(tree):
    (tree / "a.parquet.gz").write_text("")

    assert find(tree, "a.parquet.gz")[1][0].startswith("a.parquet.gz is not one of")


def test_files_of_the_same_name_are_told_apart(tmp_path):
    paths = [tmp_path / name for name in ("a/x/1.jsonl", "b/x/1.jsonl", "b/2.jsonl", "c/y/1.jsonl", "1.jsonl")]

    assert list(readers.names(paths).values())[:4] == ["a/x/1.jsonl", "b/x/1.jsonl", "2.jsonl", "y/1.jsonl"]
    assert readers.names(paths)[paths[4]].endswith("/1.jsonl")


# --- what `datasets` keeps --------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def dataset():
    import datasets

    return datasets.Dataset.from_list([{"text": f"row {number}"} for number in range(30)])


def test_a_saved_dataset_is_read_in_its_order(tmp_path, dataset):
    shuffled = dataset.shuffle(seed=1)
    shuffled.save_to_disk(tmp_path / "saved", num_shards=3)
    files, problems = readers.find_files(tmp_path, "saved")
    found = [row.value["text"] for file in files for row in readers.read(file)]

    assert (found, len(files), problems) == (list(shuffled["text"]), 3, [])


def test_of_a_saved_dataset_dict_the_split_is_taken(tmp_path, dataset):
    import datasets

    datasets.DatasetDict({"train": dataset, "test": dataset.select(range(3))}).save_to_disk(tmp_path / "saved")

    assert find(tmp_path, "saved") == (["saved/train/data-00000-of-00001.arrow"], [])
    assert find(tmp_path, "saved/test") == (["saved/test/data-00000-of-00001.arrow"], [])
    assert find(tmp_path, "saved", "validation") == ([], ["saved has no split validation, but train, test"])
    assert readers.find_files(tmp_path, "saved", "validation")[1][0].fix == "Name one of them: saved/train, saved/test."


@pytest.mark.parametrize(
    "damage, problem",
    [
        (lambda saved: (saved / "data-00000-of-00001.arrow").unlink(), "lacks data-00000-of-00001.arrow"),
        (lambda saved: (saved / "state.json").write_text("{"), "lacks any data file in state.json"),
        (lambda saved: (saved / "state.json").write_text('{"_data_files": [5, {"filename": 5}]}'), "lacks 5"),
        (lambda saved: (saved / "state.json").write_text("[]"), "lacks any data file in state.json"),
    ],
)
def test_a_saved_dataset_that_is_not_whole_is_a_problem(tmp_path, dataset, damage, problem):
    dataset.save_to_disk(tmp_path / "saved")
    damage(tmp_path / "saved")

    assert problem in find(tmp_path, "saved")[1][0]


NULLED = [
    {"tools": [{"name": "f", "parameters": {"a": {"type": "string"}}}], "text": "{'a': None}", "id": None},
    {"tools": [{"name": "g", "parameters": {"b": {"enum": ["x", None]}}, "strict": True}], "text": None, "id": 1},
]


@pytest.mark.parametrize("name", ["a.parquet", "a.arrow"])
def test_keys_that_arrow_made_up_are_taken_out_again(tmp_path, name):
    found = [row.value for row in readers.read(written(tmp_path, NULLED, name))]

    assert found == NULLED


def test_nulls_of_json_stay(tmp_path):
    value = {"tools": [{"name": "f", "default": None}]}

    assert read(tmp_path, "a.jsonl", json.dumps(value))[0][0].value == value


def test_maps_are_objects(tmp_path):
    maps = pa.array([[("a", 1), ("b", None)], None], pa.map_(pa.string(), pa.int64()))
    pq.write_table(pa.table({"x": maps}), tmp_path / "a.parquet")

    assert [row.value for row in readers.read(tmp_path / "a.parquet")] == [{"x": {"a": 1}}, {"x": None}]


# --- the hub ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def hub_cache(tmp_path, dataset, monkeypatch):
    """An offline machine whose cache holds the splits train and test of someone/tiny, as `datasets` puts them there."""
    import datasets

    from preflight.data.readers import hub

    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    source = tmp_path / "source"
    for split in ("train", "test"):
        dataset.to_json(source / f"{split}.jsonl")
    made = datasets.load_dataset("json", data_dir=str(source), cache_dir=str(tmp_path / "made"))
    folder = tmp_path / "cache" / "someone___tiny" / "default" / "0.0.0" / "0123abcd"
    shutil.copytree(Path(made["train"].cache_files[0]["filename"]).parent, folder)
    for split in ("train", "test"):
        next(folder.glob(f"*{split}*.arrow")).rename(folder / f"tiny-{split}.arrow")
    info = json.loads((folder / "dataset_info.json").read_text())
    (folder / "dataset_info.json").write_text(json.dumps(info | {"config_name": "default", "dataset_name": "tiny"}))
    hub.find.cache_clear()
    yield
    hub.find.cache_clear()


def test_a_dataset_of_the_hub_is_read_from_the_cache(tmp_path, hub_cache):
    (file,), problems = readers.find_files(tmp_path, "someone/tiny")

    assert problems == []
    assert [row.value["text"] for row in readers.read(file)] == [f"row {number}" for number in range(30)]
    assert readers.stable_name(tmp_path, file) == "someone___tiny/default/0.0.0/0123abcd/tiny-train.arrow"
    assert readers.find_files(tmp_path, "someone/tiny/test")[0][0].name == "tiny-test.arrow"
    assert readers.find_files(tmp_path, "someone/tiny/default/test")[0][0].name == "tiny-test.arrow"


@pytest.mark.parametrize(
    "path, split, problem, fix",
    [
        ("someone/else", "train", "someone/else is no path here, and HF_HUB_OFFLINE is set", "Download it first"),
        (
            "someone/tiny",
            "validation",
            "someone/tiny has no split validation, but ",
            "Name one of them: someone/tiny/t",
        ),
        ("someone/tiny/other/train", "train", "the dataset someone/tiny of the hub can't be loaded: ", "Download its"),
    ],
)
def test_a_dataset_of_the_hub_that_is_not_there_is_one_problem(tmp_path, hub_cache, path, split, problem, fix):
    _, (broken,) = readers.find_files(tmp_path, path, split)

    assert (broken.where, broken.problem[: len(problem)], broken.fix[: len(fix)]) == (path, problem, fix)


@pytest.mark.parametrize(
    "error, problem",
    [
        (OSError("Name or service not known"), "someone/tiny is no path here, and the hub can't be reached: Name"),
        (TimeoutError("timed out"), "someone/tiny is no path here, and the hub can't be reached: timed out"),
        ("RepositoryNotFoundError", "someone/tiny is no path here, and the hub has no such dataset, or it is private"),
        ("GatedRepoError", "someone/tiny is no path here, and on the hub it is gated"),
        ("HfHubHTTPError", "the dataset someone/tiny of the hub can't be loaded: "),
    ],
)
def test_a_hub_that_does_not_give_the_dataset_is_one_problem(tmp_path, hub_cache, monkeypatch, error, problem):
    import datasets
    import huggingface_hub
    from huggingface_hub import errors

    def refuse(self, name, timeout):
        raise getattr(errors, error)("no", response=mock.Mock()) if isinstance(error, str) else error

    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(huggingface_hub.HfApi, "dataset_info", refuse)
    _, (broken,) = readers.find_files(tmp_path, "someone/tiny")

    assert broken.problem.startswith(problem)
