"""Whether programs that a model wrote pass their tests. Runs them; only where the config names `evaluation.tests`."""

import math
import os
import re
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from textwrap import dedent
from typing import Any

from preflight.evaluation import sandbox
from preflight.evaluation.metrics.metric import Measured, Texts, averaged, spoken
from preflight.findings import counted, not_available

# A fenced block and its tag; the last one may have been cut off.
FENCE = re.compile(r"^[ \t]*```[ \t]*([\w+.#-]*)[^\n]*\n(.*?)(?:^[ \t]*```|\Z)", re.DOTALL | re.MULTILINE)
PYTHON = frozenset(("", "python", "py", "python3"))
DEFINES = re.compile(r"^[ \t]*(?:def|class|async def)\s", re.MULTILINE)
LEAST_SOUND = 0.9  # of the rows: with fewer, a score would say more of the tests than of the model


def program_of(answer: str) -> str:
    """The program in an answer.

    The last fenced block, tagged Python or not at all, that defines a function or class: what stands behind it is
    mostly an example of its use, and what stands before it a first try. Without a definition it is the last block, and
    without a block the whole answer.
    """
    blocks = [dedent(code) for tag, code in FENCE.findall(spoken(answer)) if tag.lower() in PYTHON]
    defining = [code for code in blocks if DEFINES.search(code)]
    return next(reversed(defining or blocks), dedent(spoken(answer)))


def tests_of(columns: Mapping[str, Any], name: str) -> str:
    """The tests of a row as one program: its column `name`, a text or a list of texts such as MBPP's `test_list`."""
    value = columns.get(name)
    lines = value if isinstance(value, (list, tuple)) else [value]
    return "\n".join(line for line in lines if isinstance(line, str)).strip()


def passes(answers: Sequence[str], columns: Sequence[Mapping[str, Any]], tests: str) -> list[float]:
    """1 for each answer whose program passes the tests in its row's column `tests`, 0 for the others."""
    jobs = [(program_of(answer), row) for answer, row in zip(answers, columns, strict=True)]
    return [float(ran.passed) for ran in _all(jobs, tests)]


def measure(texts: Texts) -> Measured:
    """Execution accuracy: the share of answers whose program passes its tests.

    Where a row's tests judge nothing, as an empty program passes them or the expected answer doesn't, no answer passes.

    Raises:
        NotAvailable: the config names no `evaluation.tests`, or many rows have such tests.
    """
    name = texts.settings.tests
    if name is None:
        not_available("evaluation.tests names no column with tests: set it, and programs that the model wrote are run")
    sound = sound_rows(texts.expected, texts.columns, name)
    found = passes(texts.answers, texts.columns, name)
    each = [one * good for one, good in zip(found, sound, strict=True)]
    return averaged(each, _notes(sound))


def sound_rows(expected: Sequence[str], columns: Sequence[Mapping[str, Any]], tests: str) -> list[bool]:
    """For each row whether its tests tell programs apart: the expected answer passes them and an empty one doesn't.

    Raises:
        NotAvailable: fewer than 9 in 10 do.
    """
    having = [bool(tests_of(row, tests)) for row in columns]
    if not any(having):
        not_available(f"no held-out row has a column {tests!r} with tests, as evaluation.tests says")
    good = passes(expected, columns, tests)
    empty = passes([""] * len(columns), columns, tests)
    sound = [there and here > none for there, here, none in zip(having, good, empty, strict=True)]
    if sum(sound) < LEAST_SOUND * len(sound):
        first = sound.index(False)
        error = _all([(program_of(expected[first]), columns[first])], tests)[0].error
        why = f"the expected answer fails with {error}" if error else "an empty program passes"
        not_available(
            f"{sound.count(False)} of {counted(len(sound), 'row')} have tests in {tests!r} that judge nothing: of the "
            f"first of them, {why}"
        )
    return sound


def pass_at(k: int, passed: int, total: int) -> float:
    """The chance that one of `k` answers passes, from `total` answers of which `passed` did.

    The unbiased estimator of Chen et al. 2021, "Evaluating Large Language Models Trained on Code", section 2.1.
    """
    if not 0 < k <= total:
        raise ValueError(f"pass@{k} needs at least {k} answers, there are {total}")
    return 1 - math.comb(total - passed, k) / math.comb(total, k)


def measure_sampled(texts: Texts, k: int) -> Measured:
    """pass@k: the chance that one of k sampled programs passes, a mean over the prompts.

    Raises:
        NotAvailable: as of `measure`.
    """
    name = texts.settings.tests
    if name is None:
        not_available("evaluation.tests names no column with tests: set it, and programs that the model wrote are run")
    sound = sound_rows(texts.expected, texts.columns, name)
    each = [(text, row) for drawn, row in zip(texts.programs, texts.columns, strict=True) for text in drawn]
    found = iter(passes([text for text, _ in each], [row for _, row in each], name))
    counts = [sum(int(next(found)) for _ in drawn) for drawn in texts.programs]
    chances = [
        pass_at(k, passed, len(drawn)) * good for passed, drawn, good in zip(counts, texts.programs, sound, strict=True)
    ]
    return averaged(chances, _notes(sound))


def _notes(sound: Sequence[bool]) -> dict[str, int]:
    notes = {
        "tests that judge nothing": sound.count(False),
        "programs run with the network not cut off": len(sound) * sandbox.has_network(),
    }
    return {note: count for note, count in notes.items() if count}


def _all(jobs: Sequence[tuple[str, Mapping[str, Any]]], tests: str) -> list[sandbox.Ran]:
    """Run programs against the tests of their rows, a few at a time."""

    def one(job: tuple[str, Mapping[str, Any]]) -> sandbox.Ran:
        program, row = job
        entry = row.get("entry_point")
        return _ran(program, tests_of(row, tests), entry if isinstance(entry, str) else "")

    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        return list(pool.map(one, jobs))


@lru_cache(4096)  # both models are measured against the same expected answers, and samples are often alike
def _ran(program: str, tests: str, entry: str) -> sandbox.Ran:
    return sandbox.run(program, tests, entry=entry) if tests else sandbox.Ran(False, "there are no tests")
