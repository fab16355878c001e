"""Peak memory of a run, by tracing its training step instead of looking it up in a table."""

from .job import Job
from .predict import Prediction, Verdict, predict

__all__ = ["Job", "Prediction", "Verdict", "predict"]
