"""Settings that may be changed on the command line: they change what is shown, and nothing of what was judged."""

from typing import Any

from pydantic import TypeAdapter, ValidationError

from preflight.clearance import Refused
from preflight.config import Config

FREE: dict[str, Any] = {
    "training.logging_steps": float,
    "training.logging_first_step": bool,
    "training.disable_tqdm": bool,
    "training.run_name": str,
}


def parse(config: Config, words: list[str]) -> dict[str, Any]:
    """Settings by their SFTConfig names, from `training.logging_steps=5` and the like.

    Args:
        config: The run's config.
        words: What stands on the command line.

    Raises:
        Refused: one of them isn't free, has no value, or one of another type.
    """
    found: dict[str, Any] = {}
    for word in words:
        key, equals, text = word.partition("=")
        if not equals:
            raise Refused(f"{word} is no setting: write KEY=VALUE, for example training.logging_steps=5")
        if key not in FREE:
            name = config.path.name
            raise Refused(
                f"{key} is part of what was cleared: change it in {name} and clear that first, "
                f"`pytest --preflight {name}`. Free to change here: {', '.join(FREE)}"
            )
        try:
            value = TypeAdapter(FREE[key]).validate_python(text)
        except ValidationError:
            raise Refused(f"{word}: {key} is a {FREE[key].__name__}") from None
        if isinstance(value, float) and not value > 0:
            raise Refused(f"{word}: {key} is more than 0")
        found[key.removeprefix("training.")] = value
    return found
