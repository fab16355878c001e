"""Whether what a config names can be had from the hub with the token that is there."""

import os
from collections.abc import Callable
from typing import Any, Literal

from preflight.config import Config

SECONDS = 10.0


def repositories(config: Config) -> list[tuple[str, Literal["model", "dataset"], str]]:
    """The repositories that the config names: key, kind and id. Folders and files are not among them."""
    named: list[tuple[str, Literal["model", "dataset"], str]] = [
        ("model.name_or_path", "model", config.model.name_or_path)
    ]
    if config.model.tokenizer:
        named.append(("model.tokenizer", "model", config.model.tokenizer))
    paths = [("data.train", path) for path in config.data.train_paths]
    paths += [("data.validation", path) for path in config.data.validation_paths]
    named += [(key, "dataset", path) for key, path in paths]
    return [(key, kind, name) for key, kind, name in named if _is_id(config, name)]


def _is_id(config: Config, name: str) -> bool:
    looks = name.count("/") == 1 and not name.startswith((".", "/", "~")) and not set("*?[") & set(name)
    return looks and not config.resolve(name).exists()


def offline() -> bool:
    """Whether the hub must not be asked."""
    return any(os.environ.get(key, "").upper() in ("1", "TRUE", "YES", "ON") for key in ("HF_HUB_OFFLINE",))


def refusal(name: str, kind: str, ask: Callable[..., object] | None = None) -> tuple[str, str] | None:
    """Why a repository can't be had, and what to do; None if it can.

    Args:
        name: Its id.
        kind: `model` or `dataset`.
        ask: Asks the hub, `HfApi.auth_check` by default.

    Raises:
        OSError: the hub can't be reached.
    """
    from huggingface_hub import HfApi
    from huggingface_hub.errors import GatedRepoError, HfHubHTTPError, RepositoryNotFoundError

    ask = ask or HfApi().auth_check
    unreachable: Any = HfHubHTTPError.__bases__[0]  # of the HTTP library that this huggingface_hub uses
    try:
        ask(name, repo_type=kind)
    except GatedRepoError:
        return "is gated, and this token has no access", "Accept its terms on the hub, and log in: hf auth login"
    except RepositoryNotFoundError:
        return "isn't there, or is private and this token can't see it", "Correct the name, or log in: hf auth login"
    except HfHubHTTPError as error:
        status = getattr(error.response, "status_code", None)
        if status in (401, 403):
            return f"answers {status}: the token isn't accepted", "Log in again: hf auth login"
        raise OSError(f"the hub answers {status}") from error
    except unreachable as error:
        raise OSError(f"the hub can't be reached: {type(error).__name__}") from error
    return None
