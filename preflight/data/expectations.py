"""Great Expectations over the profile: one suite of all checks that expect something of a column, validated once.

A check declares its part with `@check(..., expect=function)` and reads what became of it in the fixture `expected`.
"""

import json
import logging
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock

from preflight.findings import Finding, counted

Asked = Mapping[str, tuple[Callable[[Any], list[Any]], Any]]
DOCS = "data-docs"
SHOWN = 20  # rows that Great Expectations names of those that miss an expectation


@dataclass(frozen=True, slots=True)
class Expected:
    """What became of one expectation.

    Attributes:
        claim: What is expected, in words.
        met: Whether it is so.
        observed: The value found, for an expectation of a whole column.
        unexpected: How many rows miss it, for an expectation of single rows.
        rows: Places of the first of them in the profile.
        meta: What the check said of it, such as why it matters.
        problem: Why it can't be judged; empty if it was.
    """

    claim: str
    met: bool = False
    observed: Any = None
    unexpected: int = 0
    rows: tuple[int, ...] = ()
    meta: Mapping[str, Any] | None = None
    problem: str = ""


def unmet(expected: Iterable[Expected], profile: Any) -> Iterator[Finding]:
    """A finding for each expectation that isn't met, in the words of its `meta`: claim, why and fix."""
    for one in expected:
        if not one.met:
            meta = one.meta or {}
            yield Finding(
                f"not so: {one.claim}",
                where=profile["where"].iloc[one.rows[0]] if one.rows else None,
                observed=counted(one.unexpected, "row") if one.unexpected else str(one.observed),
                why=meta.get("why"),
                fix=meta.get("fix"),
            )


def lengths(profile: Any) -> tuple[Any, Any]:
    """Tokens of each example's prompt and of its answers, before truncation.

    Where all of an example is learned, its characters tell about how much of it is the assistant's.
    """
    estimated = profile["length"] * profile["said"] / profile["chars"].clip(lower=1)
    answers = profile["answer"].where(profile["answer"] < profile["length"], estimated).round().astype(int)
    return profile["length"] - answers, answers


def with_more(profile: Any) -> Any:
    """The profile as expectations see it: with five columns that follow from the others.

    `prompt_tokens` and `answer_tokens` are those of `lengths`. Of the tokens that are fed, `token_ratio` is how many
    the row has, measured by the median row, and `token_share` is its part of all. `task_ratio` is how often its task
    stands, measured by the commonest task; null without `data.task_field`.
    """
    counts = profile["task"].value_counts()
    prompts, answers = lengths(profile)
    return profile.assign(
        prompt_tokens=prompts,
        answer_tokens=answers,
        token_ratio=profile["kept"] / max(float(profile["kept"].median()), 1.0),
        token_share=profile["kept"] / max(int(profile["kept"].sum()), 1),
        task_ratio=profile["task"].map(counts / counts.max() if len(counts) else {}).astype(float),
    )


def validate(profile: Any, asked: Asked, folder: Path, *, data_docs: bool = False) -> dict[str, list[Expected]]:
    """Validate all expectations in one suite, and keep suite and result as files.

    Args:
        profile: The profile as a pandas frame.
        asked: For each check's code the function that makes its expectations, and the limits to call it with.
        folder: Where `expectations.json` (the suite), `expectations-result.json` and the Data Docs go.
        data_docs: Whether to make Data Docs.

    Returns:
        For each code what became of its expectations, in the order in which they were made.
    """
    import great_expectations as gx

    made: list[Any] = []
    found: dict[str, dict[int, Expected]] = {}
    for code, (expect, limits) in asked.items():
        try:
            own = list(expect(limits))
            for number, expectation in enumerate(own):
                expectation.meta = {**(expectation.meta or {}), "check": code, "number": number}
        except Exception as error:  # a user's own mistake, which is to be said by the user's own check
            own, problem = [], f"{type(error).__name__}: {error}"
            found[code] = {0: Expected("its expectations can be made", problem=problem)}
        made += own
    logging.getLogger("great_expectations").setLevel(logging.WARNING)
    suite = gx.ExpectationSuite(name="profile", expectations=made)
    _write(suite, folder / "expectations.json")
    outcome = _run(gx, suite, with_more(profile), folder / DOCS if data_docs else None)
    _write(outcome, folder / "expectations-result.json")
    for result in outcome.results:
        meta = result.expectation_config.meta
        found.setdefault(meta["check"], {})[meta["number"]] = _plain(result)
    return {code: [by_number[number] for number in sorted(by_number)] for code, by_number in found.items()}


def _run(gx: Any, suite: Any, frame: Any, docs: Path | None) -> Any:
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = {"globally": False}
    asset = context.data_sources.add_pandas("profile").add_dataframe_asset("train")
    data = asset.add_batch_definition_whole_dataframe("all")
    definition = gx.ValidationDefinition(name="profile", data=data, suite=context.suites.add(suite))
    # Naming the rows by a column of theirs would take 50 s for a million rows that miss an expectation.
    wanted = {"result_format": "SUMMARY", "partial_unexpected_count": SHOWN}
    outcome = context.validation_definitions.add(definition).run(
        batch_parameters={"dataframe": frame}, result_format=wanted
    )
    if docs:
        store = {"class_name": "TupleFilesystemStoreBackend", "base_directory": str(docs.absolute())}
        index = {"class_name": "DefaultSiteIndexBuilder"}
        site = {"class_name": "SiteBuilder", "store_backend": store, "site_index_builder": index}
        context.add_data_docs_site("profile", {**site, "show_how_to_buttons": False})
        with FileLock(docs.with_name(f".{DOCS}.lock")):  # workers of pytest-xdist make the same site
            shutil.rmtree(docs, ignore_errors=True)
            context.build_data_docs(site_names=["profile"])
    return outcome


def _write(value: Any, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(value.to_json_dict(), indent=1, default=lambda odd: odd.item())  # some of numpy's are left
    path.write_text(text, encoding="utf-8", errors="backslashreplace")


def _plain(result: Any) -> Expected:
    asked, found = result.expectation_config, result.result
    given = {key: value for key, value in asked.kwargs.items() if key != "batch_id"}
    meta = {key: value for key, value in asked.meta.items() if key not in ("check", "number")}
    return Expected(
        claim=str(meta.get("claim") or f"{asked.type}({', '.join(f'{key}={value}' for key, value in given.items())})"),
        met=bool(result.success),
        observed=found.get("observed_value"),
        unexpected=int(found.get("unexpected_count") or 0),
        rows=tuple(found.get("partial_unexpected_index_list") or ()),
        meta=meta,
        problem=_problem(result.exception_info),
    )


def _problem(info: Mapping[str, Any]) -> str:
    """What was raised while an expectation was judged: one entry, or one for each of its metrics."""
    entries = info.values() if "raised_exception" not in info else [info]
    raised = (str(entry.get("exception_message")) for entry in entries if entry.get("raised_exception"))
    return next(raised, "")
