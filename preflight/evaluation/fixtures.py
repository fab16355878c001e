"""What checks are given after the run: session fixtures, each built once, on first use, as in `preflight.fixtures`."""

import json
from typing import TYPE_CHECKING

import pytest

from preflight.config import Config
from preflight.findings import not_available
from preflight.fixtures import names_in

if TYPE_CHECKING:
    from preflight.data.store import Prepared, Split
    from preflight.evaluation.budget import Budget, Sampled
    from preflight.evaluation.generate import Answer
    from preflight.evaluation.loss import HeldOut
    from preflight.evaluation.questions import Question
    from preflight.evaluation.trained import Trained
    from preflight.flight import Log
    from preflight.flight.plan import Plan
    from preflight.model.tokenizer import Tokenizer


@pytest.fixture(scope="session")
def run_log(config: Config) -> "Log":
    """The logged steps of the run."""
    from preflight.flight import read_log

    path = config.output_dir / "run.jsonl"
    if not path.is_file():
        not_available(f"no run log at {path}; run `preflight train {config.path.name}` first")
    return read_log(path)


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

    return held_out_loss(config, trained, validation, budget)


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


NAMES = names_in(globals())
