"""No check of what is written in the data has a finding on the clean corpus."""

from tests.clean_corpus import CORPUS

CODES = [f"DATA-{number}" for number in (120, 121, 122, 123, 124, 125, 126, 127, 128, 129, 131, 132, 133, 134)]


def test_the_text_of_the_clean_corpus_is_clean(project):
    project.rows([row for rows in CORPUS.values() for row in rows])
    run = project.gate("-k", " or ".join(CODES))

    outcomes = {code: run.outcome(code) for code in CODES}
    assert outcomes.pop("DATA-131") == "not-applicable"  # no languages are declared
    assert set(outcomes.values()) == {"passed"}, run.screen
