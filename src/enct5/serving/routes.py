"""Which path speaks which dialect."""

from enct5.serving import hugging_face, open_inference, plain, reranking, tei, vllm
from enct5.serving.endpoint import Endpoint
from enct5.serving.errors import OPEN_INFERENCE, OWN, TEI, VLLM

_ONE = {"input": "where is my parcel"}
_PREDICT = {"inputs": [["where is my parcel"], ["cancel my order"]]}
_DOCUMENTS = {"query": "lost parcel", "documents": ["where is my parcel", "cancel my order"]}


def endpoints() -> list[Endpoint]:
    """All routes that take JSON."""
    of_texts = (hugging_face.PIPELINE, tei.PREDICT)
    found = [
        Endpoint(
            "/v1/predict",
            "Everything a model gives",
            [plain.PREDICT],
            OWN,
            "enct5",
            {"texts": ["where is my parcel", "cancel my order"], "top_k": 2},
        ),
        Endpoint("/v1/rank", "Documents by how well they match a query", [plain.RANK], OWN, "enct5", _DOCUMENTS),
    ]
    for prefix in ("", "/models/{model}"):
        # a list of two strings is a pair here, but in a body with `parameters` two texts
        found += [
            Endpoint(path, "Labels or entities", of_texts, TEI, "TEI and Hugging Face", _PREDICT)
            for path in (f"{prefix}/predict", prefix or "/")
        ]
        found.append(
            Endpoint(
                f"{prefix}/rerank",
                "Texts or documents by how well they match a query",
                (tei.RERANK, reranking.RERANK),
                VLLM,
                "TEI, vLLM and Jina",
                _DOCUMENTS,
            )
        )
    found += [
        Endpoint(
            path,
            "Documents by how well they match a query",
            [answer],
            OWN,
            "Cohere and Jina",
            _DOCUMENTS,
        )
        for path, answer in (("/v1/rerank", reranking.RERANK), ("/v2/rerank", reranking.RERANK_V2))
    ]
    for path in ("/classify", "/v1/classify"):
        found.append(Endpoint(path, "Probabilities", [vllm.CLASSIFY], VLLM, "vLLM", _ONE))
    pair = {"text_1": "lost parcel", "text_2": ["where is my parcel", "cancel my order"]}
    for path in ("/score", "/v1/score"):
        found.append(Endpoint(path, "How well pairs match", [vllm.SCORE], VLLM, "vLLM", pair))
    tensor = {"name": "text", "shape": [1], "datatype": "BYTES", "data": ["where is my parcel"]}
    found += [
        Endpoint(
            f"/v2/models/{{model}}{version}/infer",
            "Tensors",
            [open_inference.INFER],
            OPEN_INFERENCE,
            "Open Inference Protocol",
            {"inputs": [tensor]},
            open_inference.check,
        )
        for version in ("", "/versions/{version}")
    ]
    return found
