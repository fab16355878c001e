"""Programs that both models draw for pass@k: `evaluation.samples` for each held-out prompt."""

from collections.abc import Mapping, Sequence

from preflight.config import Config
from preflight.evaluation.budget import Budget, in_time
from preflight.evaluation.generate import samplers
from preflight.evaluation.questions import Question
from preflight.evaluation.trained import Trained

PROMPTS = 4  # of a batch, each with all its samples
Programs = Mapping[str, tuple[list[str], list[str]]]  # base and tuned model's, by the place of the example


def programs_of(config: Config, trained: Trained, questions: Sequence[Question], budget: Budget) -> Programs:
    """What both models draw for each prompt, in the time there is."""
    base, tuned = samplers(config, trained)
    limit = config.evaluation.max_new_tokens
    found: dict[str, tuple[list[str], list[str]]] = {}
    with budget.part("answers") as deadline:
        for batch in in_time(questions, PROMPTS, deadline):
            prompts = [question.ids for question in batch]
            for question, before, after in zip(batch, base(prompts, limit), tuned(prompts, limit), strict=True):
                found[question.where] = [said.text for said in before], [said.text for said in after]
    return found
