"""Peak memory of a run, by tracing its training step instead of looking it up in a table."""

from .batch import Batch, longest_batch
from .job import Job
from .predict import Prediction, Verdict, gib, job_of, predict, predict_here

__all__ = ["Batch", "Job", "Prediction", "Verdict", "gib", "job_of", "longest_batch", "predict", "predict_here"]
