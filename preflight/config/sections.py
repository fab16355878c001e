"""The sections of a config file that are ours, one frozen pydantic model each. Library sections: ``libraries.py``."""

from __future__ import annotations

import re
from datetime import date
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

CODE = r"^(DATA|TOK|CFG|HW|ENV|RUN|POST|DEP|META|USER)-\d{3}$"
PREFERENCE_FORMATS = frozenset({"preference", "dpo", "kto", "orpo", "simpo", "ppo", "grpo", "rm", "reward", "ranking"})

Text = Annotated[str, Field(min_length=1)]
Paths = Text | Annotated[list[Text], Field(min_length=1)]
Code = Annotated[str, Field(pattern=CODE)]
Language = Annotated[str, Field(pattern=r"^[a-z]{2,3}(-[A-Za-z]+)?$")]
Scalar = bool | int | float | str | None


def _blank(text: str) -> str:
    if not text.strip():
        raise PydanticCustomError("blank", "is empty")
    return text


def _date(value: Any) -> Any:
    """Let a quoted ISO date through; whatever else isn't a date is left for pydantic to refuse."""
    try:
        return date.fromisoformat(value) if isinstance(value, str) else value
    except ValueError:
        return value


def _data_format(value: Any) -> Any:
    if isinstance(value, str) and value.lower() in PREFERENCE_FORMATS:
        raise PydanticCustomError(
            "unsupported",
            "preference, reward and reinforcement data are not supported yet; supervised formats are: messages, "
            "prompt-completion, alpaca, sharegpt, text (or auto)",
        )
    return value


def _regex(pattern: str) -> str:
    try:
        re.compile(pattern)
    except (re.error, OverflowError, RecursionError) as error:
        raise PydanticCustomError("regex", "isn't a regular expression: {reason}", {"reason": str(error)}) from None
    return pattern


Sentence = Annotated[str, AfterValidator(_blank)]
Regex = Annotated[Text, AfterValidator(_regex)]
Columns = Annotated[dict[Text, Scalar | list[Scalar]], Field(min_length=1)]
Slice = Annotated[Text | Columns, AfterValidator(lambda asked: _regex(asked) if isinstance(asked, str) else asked)]


class SectionModel(BaseModel):
    """What all sections share: no unknown keys, no silent conversions, nothing changes after loading."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        strict=True,
        allow_inf_nan=False,
        protected_namespaces=(),
        hide_input_in_errors=True,
    )


class Task(SectionModel):
    """What the model is to learn; sizes of datasets and target modules are judged by it."""

    type: Literal[
        "style-transfer",
        "instruction-following",
        "domain-knowledge",
        "code-generation",
        "classification",
        "qa",
        "reasoning",
    ] = "instruction-following"
    complexity: Literal["simple", "standard", "complex"] = "standard"


class Model(SectionModel):
    """The base model, its tokenizer and its chat template."""

    name_or_path: Text
    revision: Text | None = None
    trust_remote_code: bool = False
    dtype: Literal["auto", "float32", "float16", "bfloat16"] = "auto"
    attn_implementation: Literal["eager", "sdpa", "flash_attention_2", "flash_attention_3", "flex_attention"] | None = (
        None
    )
    device_map: Text | dict[str, int | str] | None = None
    tokenizer: Text | None = None
    chat_template: Text | None = None


class Data(SectionModel):
    """Where the examples are and how they are written."""

    train: Paths
    validation: Paths | None = None
    validation_split: Annotated[float, Field(gt=0, lt=1)] | None = None
    format: Annotated[
        Literal["auto", "messages", "prompt-completion", "alpaca", "sharegpt", "text"], BeforeValidator(_data_format)
    ] = "auto"
    task_field: Text | None = None
    languages: Annotated[list[Language], Field(min_length=1)] | None = None
    review: Text | None = None
    slices: dict[Text, Slice] = {}
    benchmarks: Paths | None = None
    engine: Literal["auto", "tokenizers", "fastokens", "tokie"] = "tokenizers"

    @model_validator(mode="after")
    def _one_validation_set(self) -> Self:
        if self.validation is not None and self.validation_split is not None:
            raise PydanticCustomError("both", "validation and validation_split are both set: keep one of them")
        return self

    @property
    def train_paths(self) -> list[str]:
        """``train`` as a list, however it was written."""
        return [self.train] if isinstance(self.train, str) else list(self.train)

    @property
    def validation_paths(self) -> list[str]:
        """``validation`` as a list, however it was written; empty when absent."""
        return [self.validation] if isinstance(self.validation, str) else list(self.validation or [])


class Hardware(SectionModel):
    """The machine that will train: this one (``target: local``), or one described by its numbers."""

    target: Literal["local"] | None = None
    gpu: Text | None = None
    memory_gib: Annotated[float, Field(gt=0)] | None = None
    count: Annotated[int, Field(ge=0)] | None = None
    bf16: bool | None = None
    cuda: Text | None = None
    disk_gib: Annotated[float, Field(gt=0)] | None = None

    @model_validator(mode="before")
    @classmethod
    def _fill_in(cls, values: Any) -> Any:
        # One spelling for one meaning: no numbers means this machine, and a described one has one GPU unless it says.
        given = {key for key, value in values.items() if value is not None} if isinstance(values, dict) else {"target"}
        if "target" in given:
            return values
        return values | {"count": values.get("count", 1)} if given else values | {"target": "local"}

    @model_validator(mode="after")
    def _local_or_described(self) -> Self:
        given = sorted(key for key, value in self if key != "target" and value is not None)
        if self.target == "local" and given:
            names = ", ".join(given)
            raise PydanticCustomError("both", "target: local describes itself: remove {names}", {"names": names})
        if given and self.count != 0 and (self.gpu is None or self.memory_gib is None):
            raise PydanticCustomError("half", "a described machine needs gpu and memory_gib (or count: 0 for no GPU)")
        return self

    @property
    def is_local(self) -> bool:
        """Whether checks judge this machine."""
        return self.target == "local"


class Waiver(SectionModel):
    """A check that may fail until a date, for a reason that someone answers for."""

    code: Code
    reason: Sentence
    by: Sentence
    expires: Annotated[date, BeforeValidator(_date)]


class Gate(SectionModel):
    """How this run is judged: own checks, severities, waivers and thresholds."""

    checks: list[Text] = []
    severity: dict[Code, Literal["required", "recommended", "advice"]] = {}
    waivers: list[Waiver] = []
    thresholds: dict[Code, dict[str, Scalar | list[Scalar]]] = {}
    rehearsal: bool | None = None
    max_hours: Annotated[float, Field(gt=0)] | None = None
    data_docs: bool = False


class Deployment(SectionModel):
    """How the trained model will be served."""

    scenario: Literal["single-adapter", "several-adapters", "frequent-updates", "minimum-latency"] | None = None
    merge: bool | None = None
    engine: Literal["vllm", "sglang", "tgi", "llama.cpp", "ollama", "transformers"] | None = None
    max_lora_rank: Annotated[int, Field(ge=1)] | None = None

    @property
    def merged(self) -> bool:
        """Whether the adapter becomes part of the model before it is served: as `merge` says, else the scenario."""
        return self.scenario in ("single-adapter", "minimum-latency") if self.merge is None else self.merge
