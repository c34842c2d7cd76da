"""Predictions on Ray: a class for pipelines of your own, and whole files. The extra `ray` installs it."""

from enct5.distributed.batches import BatchPredictor
from enct5.distributed.dataset import predict_dataset

__all__ = ["BatchPredictor", "predict_dataset"]
