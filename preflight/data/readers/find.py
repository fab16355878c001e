"""From what the config names to the data files behind it: files, globs, folders, saved datasets, ids of the hub."""

import json
import os
from collections.abc import Iterable
from glob import glob, has_magic
from pathlib import Path

from preflight.data.readers import hub
from preflight.data.readers.hub import Found
from preflight.data.readers.rows import Broken
from preflight.data.readers.source import CODECS, FORMATS, TEXT, source_of

KNOWN = f"{', '.join(FORMATS)}; {', '.join(TEXT)} also with {' or '.join(CODECS)}"


def find_files(folder: Path, paths: str | list[str], split: str = "train") -> Found:
    """The files behind `data.train` or `data.validation`, and what is wrong with the names that lead nowhere.

    Args:
        folder: The config's folder; relative paths start here.
        paths: A path, a glob, a folder, an id of the hub, or a list of them.
        split: Which split to take of datasets that have several, where the path doesn't say.
    """
    files: dict[Path, None] = {}
    problems: list[Broken] = []
    for path in [paths] if isinstance(paths, str) else paths:
        found, wrong = _find(folder / Path(path).expanduser(), path, split)
        problems += wrong
        for file in found:
            if file in files:
                problems.append(Broken(file.name, None, f"{file.name} is named twice, the second time by {path}"))
            files[file] = None
    return list(files), problems


def names(files: Iterable[Path]) -> dict[Path, str]:
    """What to call each file: its name, with as many folders before it as it takes to tell it from the others."""
    known = list(dict.fromkeys(files))
    called = {file: file.name for file in known}
    for depth in range(2, max((len(file.parts) for file in known), default=0) + 1):
        taken = list(called.values())
        for file, name in list(called.items()):
            if taken.count(name) > 1:
                called[file] = "/".join(file.parts[-depth:])
    return called


def stable_name(folder: Path, file: Path) -> str:
    """What identifies a data file wherever the project lies.

    That is its path from the config's folder or, for a dataset of the hub, its path in the cache of `datasets`, which
    has the dataset's id and revision in it.
    """
    cached = hub.name_of(file)
    return cached or Path(os.path.relpath(file, folder)).as_posix()


def _find(full: Path, path: str, split: str) -> Found:
    if full.is_dir():
        return _in_folder(full, path, split)
    if full.exists():
        return ([full], []) if source_of(full) else _nothing(path, f"{path} is not one of {KNOWN}")
    if has_magic(path):
        matches = [Path(match) for match in sorted(glob(str(full), recursive=True))]
        files = [match for match in matches if match.is_file()]
        wrong = [Broken(file.name, None, f"{file.name} is not one of {KNOWN}") for file in files if not source_of(file)]
        if not files:
            return _nothing(path, f"no file matches {path}")
        return [file for file in files if source_of(file)], wrong
    if hub.is_id(path) and not full.parent.is_dir():
        return hub.find(path, split)
    near = sorted(file.name for file in full.parent.glob("[!.]*") if source_of(file)) if full.parent.is_dir() else []
    beside = f"; beside it: {', '.join(near[:5])}" if near else ""
    return _nothing(path, f"{path} does not exist{beside}")


def _nothing(path: str, problem: str, fix: str = "") -> Found:
    return [], [Broken(path, None, problem, fix)]


def _in_folder(full: Path, path: str, split: str) -> Found:
    """The data files of a folder: one that `datasets` saved, or any other."""
    if (full / "dataset_dict.json").is_file():
        found = _json(full / "dataset_dict.json").get("splits")
        splits = [str(name) for name in found] if isinstance(found, list) else []
        if split in splits:
            return _in_folder(full / split, f"{path}/{split}", split)
        fix = f"Name one of them: {', '.join(f'{path}/{name}' for name in splits)}."
        return _nothing(path, f"{path} has no split {split}, but {', '.join(splits) or 'none'}", fix if splits else "")
    if (full / "state.json").is_file() and (full / "dataset_info.json").is_file():
        return _saved(full, path)
    files = sorted(file for file in full.glob("[!.]*") if file.is_file() and source_of(file))
    if not files:
        return _nothing(path, f"the folder {path} holds no data file; known are {KNOWN}")
    return files, []


def _saved(full: Path, path: str) -> Found:
    """The Arrow files of a dataset that `save_to_disk` wrote, in its order."""
    listed = _json(full / "state.json").get("_data_files")
    named = listed if isinstance(listed, list) else []
    files = [full / str(file.get("filename")) for file in named if isinstance(file, dict)]
    missing = [file.name for file in files if not file.is_file()]
    if missing or not files:
        lacking = ", ".join(missing) or "any data file in state.json"
        return _nothing(path, f"the saved dataset {path} lacks {lacking}", "Save it again, or copy all of it.")
    return files, []


def _json(file: Path) -> dict[str, object]:
    try:
        value = json.loads(file.read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}
