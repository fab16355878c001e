from collections import Counter
from collections.abc import Iterator
from typing import Any

from preflight import Finding, check, not_applicable, report_findings
from preflight.config import Config
from preflight.data import overlap, readers, source
from preflight.data.overlap import Match
from preflight.data.readers import Broken, Row
from preflight.data.store import Split
from preflight.findings import counted
from preflight.findings import places as in_words
from preflight.fixtures import Evidence


@check(
    "DATA-115",
    "no-contamination",
    severity="recommended",
    section=1,
    item="Quality review: manually reviewed 50-100 random samples",
    thresholds={"min_share": 0.5, "max_fraction": 0.01},
)
def no_benchmark_stands_in_the_training_data(config: Config, train: Split, evidence: Evidence, limits: Any) -> None:
    """No benchmark of `data.benchmarks` stands in the training data.

    What it checks: The texts of each benchmark item, in any column, against all training messages: whether half of a
    text's runs of 13 words stand there, or all words of a text of 8 to 12. Case and punctuation make no difference;
    shorter texts, and runs that more than ten items share, such as instructions, tell nothing.
    Why it matters: The model answers what it has learned by heart, and the benchmark no longer says what it can do.
    How to fix: Delete the named training rows, or leave the benchmark out of your report.
    Evidence: EleutherAI/lm-evaluation-harness and NVIDIA-NeMo/Curator look for runs of 13, and 8 to 13 words, after
    Appendix C of the GPT-3 paper (arXiv 2005.14165); Curator, too, leaves out runs with more than ten matches. They
    take one run in common for enough; preflight wants half of them, since a single one is often a quotation. Threshold:
    1 % of a benchmark's items, which moves its score by as much.
    """
    if config.data.benchmarks is None:
        not_applicable("data.benchmarks names no files")
    files, problems = readers.find_files(config.folder, config.data.benchmarks, "test")
    names = readers.names(files)
    read = [row for file in files for row in readers.read(file, names[file])]
    items = [row for row in read if isinstance(row, Row)]
    broken = [*problems, *(row for row in read if isinstance(row, Broken))]
    judged, found = overlap.matches([[*overlap.texts_of(row)] for row in items], _training(config), limits.min_share)
    evidence(
        f"{len(found):,} of {len(items):,} test items in the training data",
        items=len(items),
        judged=judged,
        found=len(found),
    )
    places = train.profile.set_index("row")["where"]
    report_findings([*_unreadable(broken, config), *_contaminated(items, found, places, limits.max_fraction)])


def _training(config: Config) -> Iterator[tuple[int, str]]:
    for number, _, example in source.examples(config, "train"):
        yield number, "\n".join(m["content"] for m in example.messages) or f"{example.prompt}\n{example.completion}"


def _unreadable(broken: list[Broken], config: Config) -> Iterator[Finding]:
    for problem in broken[:1]:
        yield Finding(
            f"{counted(len(broken), 'place')} of the benchmarks can't be read, {problem.where}: {problem.problem}",
            where=config.where("data.benchmarks"),
            why="Whether these items stand in the training data is not known.",
            fix=problem.fix or "Correct the file, or its name in data.benchmarks.",
        )


def _contaminated(items: list[Row], found: list[Match], places: Any, most: float) -> Iterator[Finding]:
    sizes = Counter(item.file for item in items)
    for benchmark, size in sizes.items():
        inside = [match for match in found if items[match.item].file == benchmark and match.row in places.index]
        if len(inside) > most * size:
            shown = [f"{items[match.item].where} in {places[match.row]}" for match in inside]
            yield Finding(
                f"{len(inside):,} of {size:,} items of {benchmark} stand in the training data",
                where=places[inside[0].row],
                observed=f"{in_words(shown)}; {readers.shorten(inside[0].text)!r}",
                expected=f"at most {most:.0%}",
                why="The model answers them by heart: its score says nothing.",
                fix=f"Delete the {counted(len({match.row for match in inside}), 'training row')} that hold them.",
            )
