"""The section `evaluation` of a config: how the trained model is judged."""

from __future__ import annotations

from typing import Annotated, Any, Self

from pydantic import Field, field_validator, model_validator
from pydantic_core import PydanticCustomError

from .sections import Language, Paths, Regex, SectionModel, Text

Positive = Annotated[int, Field(ge=1)]


class Demand(SectionModel):
    """What a metric has to reach. Without a number it only must not be worse than the base model's.

    Attributes:
        min: The least value.
        max: The most.
        min_gain: How much better than the base model it has to be at least.
        max_drop: How much worse than the accepted run it may be at most.
    """

    min: float | None = None
    max: float | None = None
    min_gain: float | None = None
    max_drop: Annotated[float, Field(ge=0)] | None = None


class Format(SectionModel):
    """What an answer has to look like."""

    regex: Regex | None = None
    json_schema: Text | dict[str, Any] | None = None
    starts_with: Text | None = None
    ends_with: Text | None = None
    min_chars: Positive | None = None
    max_chars: Positive | None = None
    language: Language | None = None

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if not self.model_fields_set:
            raise PydanticCustomError("nothing", "says nothing: give it a key, or remove it")
        return self


class LmEval(SectionModel):
    """Tasks of lm-evaluation-harness, and how much worse than the base model's their scores may be."""

    tasks: Annotated[list[Text], Field(min_length=1)]
    include_path: Text | None = None
    num_fewshot: Annotated[int, Field(ge=0)] | None = None
    limit: Positive | None = None


class Server(SectionModel):
    """An OpenAI-compatible server that serves the trained model, and the base model beside it."""

    url: Annotated[str, Field(pattern=r"^https?://")]
    model: Text
    base_model: Text
    api_key_variable: Text | None = None


class Evaluation(SectionModel):
    """How the trained model is judged, and how long that may take."""

    max_minutes: Annotated[float, Field(gt=0)] = 10
    max_examples: Positive = 64
    max_new_tokens: Positive = 128
    data: Text | None = None
    metrics: Annotated[dict[Text, Demand | None] | list[Text], Field(min_length=1)] | None = None
    labels: Annotated[list[Text], Field(min_length=2)] | None = None
    answer: Regex | None = None
    tests: Text | None = None
    samples: Positive = 1
    format: Regex | Format | None = None
    general: Paths | None = None
    suite: Text | None = None
    edge_cases: Text | None = None
    lm_eval: LmEval | None = None
    server: Server | None = None
    accepted: Text | None = None

    @field_validator("metrics")
    @classmethod
    def _known_metrics(cls, metrics: dict[str, Demand | None] | list[str] | None) -> Any:
        from preflight.evaluation.metrics import refusal

        for name, demand in (metrics if isinstance(metrics, dict) else dict.fromkeys(metrics or ())).items():
            if problem := refusal(name, *((demand.min, demand.max) if demand else ())):
                raise PydanticCustomError("metric", "{problem}", {"problem": problem})
        return metrics

    @property
    def demands(self) -> dict[str, Demand]:
        """`metrics` as names and what each has to reach, however it was written."""
        named = self.metrics if isinstance(self.metrics, dict) else dict.fromkeys(self.metrics or ())
        return {name: demand or Demand() for name, demand in named.items()}
