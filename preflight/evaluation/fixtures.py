"""What checks are given after the run: session fixtures, each built once, on first use, as in `preflight.fixtures`."""

import json
from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING

import pytest

from preflight.config import Config
from preflight.fixtures import names_in

if TYPE_CHECKING:
    from preflight.data.store import Prepared, Split
    from preflight.evaluation.batches import Repeat
    from preflight.evaluation.budget import Budget, Sampled
    from preflight.evaluation.edges import Edge
    from preflight.evaluation.general import General
    from preflight.evaluation.generate import Answer
    from preflight.evaluation.loss import HeldOut
    from preflight.evaluation.programs import Programs
    from preflight.evaluation.questions import Question
    from preflight.evaluation.scores import Scores
    from preflight.evaluation.trained import Trained
    from preflight.flight import Log
    from preflight.flight.plan import Plan
    from preflight.model.tokenizer import Tokenizer


@pytest.fixture(scope="session")
def run_log(config: Config) -> "Log":
    """The logged steps of the run, whoever did it."""
    from preflight.flight.foreign import log_of

    return log_of(config)


@pytest.fixture(scope="session")
def plan(config: Config, run_log: "Log") -> "Plan":
    """What was known of the run before its first step."""
    from preflight.flight.plan import plan_for

    return plan_for(config, run_log)


@pytest.fixture(scope="session")
def trained(config: Config, tokenizer: "Tokenizer") -> "Trained":
    """The trained model on its base, loaded once for all checks."""
    from preflight.evaluation.trained import load_trained

    return load_trained(config, tokenizer)


@pytest.fixture(scope="session")
def budget(config: Config) -> "Budget":
    """The time that evaluation may take, shared out among its parts."""
    from preflight.evaluation.budget import Budget

    return Budget(config.evaluation.max_minutes * 60)


@pytest.fixture(scope="session")
def held_out(config: Config, trained: "Trained", validation: "Split", budget: "Budget") -> "HeldOut":
    """Loss of base and tuned model on the same held-out examples."""
    from preflight.evaluation.loss import held_out_loss
    from preflight.report.document import write as write_json

    found = held_out_loss(config, trained, validation, budget)
    write_json(asdict(found), config.artefacts("postflight") / "held_out.json")
    return found


@pytest.fixture(scope="session")
def questions(config: Config, tokenizer: "Tokenizer", prepared: "Prepared") -> "list[Question]":
    """Held-out prompts, with the answers that were expected."""
    from preflight.evaluation.questions import questions_of

    return questions_of(config, tokenizer, prepared.validation)


@pytest.fixture(scope="session")
def answers(config: Config, trained: "Trained", questions: "list[Question]", budget: "Budget") -> "Sampled[Answer]":
    """Greedy answers of base and tuned model to held-out prompts."""
    from preflight.evaluation.generate import answers_of, samples

    found = answers_of(config, trained, questions, budget)
    text = json.dumps(samples(found), ensure_ascii=False, indent=1)
    (config.artefacts("postflight") / "samples.json").write_text(text, encoding="utf-8", errors="backslashreplace")
    return found


@pytest.fixture(scope="session")
def general(config: Config, trained: "Trained", budget: "Budget") -> "General":
    """Base and tuned model on general text and neutral prompts."""
    from preflight.evaluation.general import general_of
    from preflight.report.document import write as write_json

    found = general_of(config, trained, budget)
    write_json(found.as_json(), config.artefacts("postflight") / "general.json")
    return found


@pytest.fixture(scope="session")
def batches(
    config: Config,
    trained: "Trained",
    questions: "list[Question]",
    answers: "Sampled[Answer]",
    budget: "Budget",
) -> "Sampled[Repeat]":
    """Some of the tuned model's answers once more, one by one."""
    from preflight.evaluation.batches import compare

    return compare(config, trained, questions, answers, budget)


@pytest.fixture(scope="session")
def programs(config: Config, trained: "Trained", questions: "list[Question]", budget: "Budget") -> "Programs":
    """Sampled answers of base and tuned model, for pass@k."""
    from preflight.evaluation.programs import programs_of

    return programs_of(config, trained, questions, budget)


@pytest.fixture(scope="session")
def scores(request: pytest.FixtureRequest, config: Config) -> "Scores":
    """Metrics of base and tuned model on held-out examples, with intervals; written to `scores.json`."""
    from preflight.evaluation.scores import scores_of
    from preflight.report.document import write as write_json

    path = config.artefacts("postflight") / "scores.json"
    path.unlink(missing_ok=True)  # of a postflight before
    made = scores_of(config, *(partial(request.getfixturevalue, name) for name in ("answers", "held_out", "programs")))
    write_json(made.as_json(), path)
    return made


@pytest.fixture(scope="session")
def edges(config: Config, trained: "Trained", budget: "Budget") -> "Sampled[Edge]":
    """Answers of base and tuned model to unusual prompts."""
    from preflight.evaluation.edges import edges_of, listed
    from preflight.report.document import write as write_json

    found = edges_of(config, trained, budget)
    write_json(listed(found), config.artefacts("postflight") / "edges.json")
    return found


NAMES = names_in(globals())
