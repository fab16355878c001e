"""No check has a finding on the clean corpus: on all of it at once for what is written, and shape by shape for all."""

import pytest

from tests.clean_corpus import CORPUS

CODES = [f"DATA-{number}" for number in (120, 121, 122, 123, 124, 125, 126, 127, 128, 129, 131, 132, 133, 134)]
# So few rows are too few, nobody has reviewed them, and the embedded model's template adds a system prompt.
FEW = {"DATA-102", "DATA-103", "DATA-110", "DATA-113", "TOK-114", "CFG-118"}
# What is true of a shape: the embedded model's template knows no tools.
TRUE = {"tools": {"TOK-112"}}


def test_the_text_of_the_clean_corpus_is_clean(project):
    project.rows([row for rows in CORPUS.values() for row in rows])
    run = project.gate("-k", " or ".join(CODES))

    outcomes = {code: run.outcome(code) for code in CODES}
    assert outcomes.pop("DATA-131") == "not-applicable"  # no languages are declared
    assert set(outcomes.values()) == {"passed"}, run.screen


@pytest.mark.parametrize("shape", CORPUS)
def test_all_checks_together_are_silent_on_good_data_of_every_shape(project, shape):
    rows = CORPUS[shape]
    project.rows(rows[:-3])
    project.rows(rows[-3:], "validation.jsonl")
    project.set(training={"max_length": 1024}, task={"type": "classification" if shape == "labels" else "qa"})
    run = project.gate()

    spoken = {check["code"] for check in run.report["checks"] if check["outcome"] not in ("passed", "not-applicable")}
    assert spoken - FEW == TRUE.get(shape, set()), run.screen
