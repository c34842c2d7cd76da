"""Predictions on Ray: a class for pipelines of your own, whole files (extra `ray`), a server (`ray-serve`)."""

from enct5.distributed.batches import BatchPredictor
from enct5.distributed.dataset import predict_dataset
from enct5.serving.ray_serve import serve_app

__all__ = ["BatchPredictor", "predict_dataset", "serve_app"]
