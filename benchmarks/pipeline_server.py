"""What one would write without a server of ours: FastAPI, or LitServe with its batching, over transformers' pipeline.

python benchmarks/pipeline_server.py fastapi|litserve FOLDER PORT
"""

import sys
from typing import Any

from transformers import AutoModelForSequenceClassification, AutoTokenizer, pipeline

try:
    import litserve
except ImportError:
    litserve = None

import enct5.model.registration  # noqa: F401  # the classes of the model


def classifier(folder: str) -> Any:
    """The pipeline of a model's folder."""
    model = AutoModelForSequenceClassification.from_pretrained(folder)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    return pipeline("text-classification", model=model, tokenizer=tokenizer, truncation=True, device="cpu")


def fastapi(folder: str, port: int) -> None:
    """An endpoint that calls the pipeline, in FastAPI's threads."""
    import uvicorn
    from fastapi import FastAPI

    classify, app = classifier(folder), FastAPI()

    @app.get("/readyz")
    def ready() -> dict[str, bool]:
        return {"ready": True}

    @app.post("/v1/predict")
    def predict(body: dict[str, Any]) -> Any:
        return classify(body["texts"])

    uvicorn.run(app, port=port, log_level="error")


class BatchedPipeline(litserve.LitAPI if litserve else object):  # at the top, as its processes look for it
    """The pipeline on what LitServe has batched; its folder is an attribute, which those processes get."""

    folder = ""

    def setup(self, device: str) -> None:
        """Load the pipeline, in a process of its own."""
        self.classify = classifier(self.folder)

    def decode_request(self, request: dict[str, Any]) -> str:
        """The text of a request."""
        return request["texts"][0]

    def predict(self, texts: list[str]) -> Any:
        """The labels of a batch."""
        return self.classify(texts, batch_size=len(texts))

    def encode_response(self, output: Any) -> Any:
        """The label of a request."""
        return output


def batched(folder: str, port: int) -> None:
    """LitServe, which batches what arrives within 5 ms."""
    api = BatchedPipeline(max_batch_size=32, batch_timeout=0.005, api_path="/v1/predict")
    api.folder = folder
    litserve.LitServer(api, accelerator="cpu", healthcheck_path="/readyz").run(port=port, generate_client_file=False)


if __name__ == "__main__":
    {"fastapi": fastapi, "litserve": batched}[sys.argv[1]](sys.argv[2], int(sys.argv[3]))
