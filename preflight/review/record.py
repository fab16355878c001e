"""The record of a manual review: a file beside the config, to be committed with it.

    {
      "version": 1,
      "data": {                       what was reviewed
        "digest": "9f0c…",            of all that stands below but the names of files
        "files": [{"name": "data/train.jsonl", "sha256": "51b2…"}],
        "shapes": ["messages"],
        "text_field": null,             for the shape text: the column that holds it
        "rows": 640                   examples in these files
      },
      "seed": 0,                      with the digest, it decides which rows are drawn
      "sample": [112, 7, …],          rows drawn, by their number among all rows of the files, in the order of the draw
      "reviews": [                    one a reviewer
        {
          "reviewer": "Ada Reviewer",
          "started": "2026-01-31T09:12:44+00:00",
          "finished": null,           when nothing of the sample was left
          "verdicts": [
            {"row": 112, "where": "train.jsonl:113", "verdict": "accept", "comment": "", "at": "2026-…"},
            {"row": 7, "where": "train.jsonl:8", "verdict": "reject", "comment": "off the question", "at": "2026-…"}
          ]
        }
      ]
    }

`verdict` is `accept`, `reject`, or null for a comment without one. A reviewer has one entry a row: the last thing said.
Models and functions only; nothing here knows of pages or checks.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, ValidationError

from preflight import digests
from preflight.config import Config
from preflight.report import document

Opinion = Literal["accept", "reject"]


class RecordError(Exception):
    """A record that can't be read; the message says why."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class File(_Part):
    """A data file: its name as seen from the config's folder, and its content."""

    name: str
    sha256: str


class Data(_Part):
    """What the rows are drawn from."""

    files: tuple[File, ...]
    shapes: tuple[str, ...]
    text_field: str | None
    rows: int
    digest: str


class Verdict(_Part):
    """The last thing that one reviewer said about one row."""

    row: int
    where: str
    verdict: Opinion | None
    comment: str = ""
    at: AwareDatetime


class Review(_Part):
    """What one reviewer said."""

    reviewer: str
    started: AwareDatetime
    finished: AwareDatetime | None = None
    verdicts: tuple[Verdict, ...] = ()


class Record(_Part):
    """The whole file."""

    version: Literal[1] = 1
    data: Data
    seed: int
    sample: tuple[int, ...]
    reviews: tuple[Review, ...] = ()

    def said(self) -> Iterator[tuple[str, Verdict]]:
        """Every reviewer's verdicts, as (reviewer, verdict)."""
        return ((review.reviewer, verdict) for review in self.reviews for verdict in review.verdicts)

    @property
    def judged(self) -> set[int]:
        """Rows that someone accepted or rejected, drawn or not."""
        return {verdict.row for _, verdict in self.said() if verdict.verdict}

    @property
    def rejected(self) -> dict[int, list[tuple[str, Verdict]]]:
        """Rows that someone rejected, whatever others thought, with who did."""
        found: dict[int, list[tuple[str, Verdict]]] = {}
        for reviewer, verdict in self.said():
            if verdict.verdict == "reject":
                found.setdefault(verdict.row, []).append((reviewer, verdict))
        return found


def path_of(config: Config) -> Path:
    """Where the record lies: where `data.review` says, or beside the config: `config.review.json`."""
    named = config.data.review
    return config.resolve(named) if named else config.path.with_suffix(".review.json")


def data(files: list[File], shapes: list[str], text_field: str | None, rows: int) -> Data:
    """What the rows are drawn from. Renaming a file changes nothing; its content and the files' order do."""
    content = {"files": [file.sha256 for file in files], "shapes": shapes, "text_field": text_field, "rows": rows}
    digest = digests.of_json(content)
    return Data(files=tuple(files), shapes=tuple(shapes), text_field=text_field, rows=rows, digest=digest)


def differences(reviewed: Data, present: Data) -> list[str]:
    """In words, how the data of a record differs from the present data."""
    before, now = ({file.name: file.sha256 for file in each.files} for each in (reviewed, present))
    found = [f"{name} has changed" for name in now if name in before and before[name] != now[name]]
    found += [f"{name} is new" for name in now if name not in before]
    found += [f"{name} is gone" for name in before if name not in now]
    if not found and list(before) != list(now):
        found.append("the files are in another order")
    if not found:
        for what in ("shapes", "text_field", "rows"):
            old, new = getattr(reviewed, what), getattr(present, what)
            if old != new:
                words = [", ".join(value) if isinstance(value, tuple) else str(value) for value in (old, new)]
                found.append(f"{what.replace('_', ' ')}: {words[0]} then, {words[1]} now")
    return found or ["its digest is not that of its own files"]


def load(path: Path) -> Record | None:
    """The record; None if there is none.

    Raises:
        RecordError: it can't be read.
    """
    try:
        return Record.model_validate_json(path.read_bytes(), strict=True)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise RecordError(f"can't be read: {error.strerror or error}") from error
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        place = ".".join(map(str, first["loc"]))
        raise RecordError(f"{place}: {first['msg']}" if place else first["msg"]) from error


def save(record: Record, path: Path) -> None:
    """Write the record; a reader finds the old one or the new one, never half of one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    document.write(record.model_dump(mode="json"), path)


def give(record: Record, reviewer: str, said: Verdict) -> Record:
    """The record with what a reviewer says about a row, in the place of what they said before."""
    reviews = {review.reviewer: review for review in record.reviews}
    mine = reviews.get(reviewer) or Review(reviewer=reviewer, started=said.at)
    verdicts = (*(one for one in mine.verdicts if one.row != said.row), said)
    reviews[reviewer] = mine.model_copy(update={"verdicts": verdicts})
    given = record.model_copy(update={"reviews": tuple(reviews.values())})
    finished = said.at if given.judged.issuperset(record.sample) else None
    reviews[reviewer] = reviews[reviewer].model_copy(update={"finished": finished})
    return given.model_copy(update={"reviews": tuple(reviews.values())})


def summary(record: Record | None) -> str:
    """What stands in the record, in one line: `12 of 50 rows reviewed, 2 rejected, by Ada Reviewer`."""
    if record is None or not record.reviews:
        return "nothing reviewed yet"
    judged = len(record.judged & set(record.sample))
    people = " and ".join(review.reviewer for review in record.reviews)
    return f"{judged} of {len(record.sample)} rows reviewed, {len(record.rejected)} rejected, by {people}"
