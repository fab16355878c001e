"""Datasets of the Hugging Face hub, as the Arrow files that `datasets` keeps of them."""

import re
from functools import cache
from pathlib import Path
from typing import Any

from preflight.data.readers.rows import Broken, shorten
from preflight.data.readers.source import FORMATS

ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*(/[\w.-]+){0,2}")
SECONDS = 10  # for the hub's first answer

Found = tuple[list[Path], list[Broken]]


def is_id(path: str) -> bool:
    """Whether what is no path may be a dataset on the hub.

    `owner/name`, with the split behind another slash, and between them the subset: `owner/name/subset/split`.
    """
    return bool(ID.fullmatch(path)) and not path.lower().endswith(FORMATS)


def name_of(file: Path) -> str:
    """A file in the cache of `datasets` by what is the same on all machines, else nothing.

    That is `owner___name/subset/version/revision/file`.
    """
    return "/".join(file.parts[-5:]) if len(file.parts) > 5 and "___" in file.parts[-5] else ""


@cache  # what was found stays for the run, a hub that doesn't answer included
def find(path: str, split: str) -> Found:
    """The Arrow files of a split, downloaded if `datasets` doesn't have them in its cache, or why there are none.

    Args:
        path: As in `is_id`.
        split: Which split where the path names none.
    """
    owner, name, *more = path.split("/")
    identity = f"{owner}/{name}"
    subset, split = (more[0] if more[1:] else None), (more[-1] if more else split)
    try:
        found = _load(identity, subset)
    except Exception as error:  # besides what can be expected, whatever the files of the dataset lead to
        problem, fix = _why(identity, error)
        return [], [Broken(path, None, problem, fix)]
    if split not in found:
        fix = f"Name one of them: {', '.join(f'{identity}/{other}' for other in found)}."
        return [], [Broken(path, None, f"{identity} has no split {split}, but {', '.join(found)}", fix)]
    return [Path(part["filename"]) for part in found[split].cache_files], []


def _load(identity: str, subset: str | None) -> dict[str, Any]:
    """The splits of a dataset, at the revision that the hub has now; offline, at the one that was downloaded last."""
    import datasets
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError

    revision = None
    if not datasets.config.HF_HUB_OFFLINE:
        try:  # `datasets` itself would try for half a minute to reach a hub that isn't there
            revision = HfApi().dataset_info(identity, timeout=SECONDS).sha
        except (HfHubHTTPError, HFValidationError):
            raise
        except Exception as error:  # of the HTTP library, whichever it is
            raise ConnectionError(str(error)) from error
    return dict(datasets.load_dataset(identity, subset, revision=revision))


def _why(identity: str, error: Exception) -> tuple[str, str]:
    """Why a dataset can't be had, and what to do."""
    import datasets
    from huggingface_hub.errors import GatedRepoError, HFValidationError, RepositoryNotFoundError

    here = f"{identity} is no path here, and "
    said = shorten(str(error), 160)
    if isinstance(error, GatedRepoError):
        return f"{here}on the hub it is gated", "Ask for access on its page, then run: hf auth login"
    if isinstance(error, (RepositoryNotFoundError, HFValidationError)):
        return f"{here}the hub has no such dataset, or it is private", "Correct the name, or log in: hf auth login"
    if isinstance(error, OSError) and datasets.config.HF_HUB_OFFLINE:
        fix = "Download it first, with HF_HUB_OFFLINE unset, or name files."
        return f"{here}HF_HUB_OFFLINE is set and the cache of `datasets` lacks it", fix
    if isinstance(error, ConnectionError):
        fix = "Check the connection; HF_HUB_OFFLINE=1 uses what was downloaded before; or name files."
        return f"{here}the hub can't be reached: {said}", fix
    return f"the dataset {identity} of the hub can't be loaded: {said}", "Download its files and name them."
