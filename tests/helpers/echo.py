"""A predictor that needs no model."""

from collections import Counter
from collections.abc import Iterable, Iterator
from types import SimpleNamespace
from typing import Any

from enct5.model.trained_on import TrainedOn
from enct5.tasks.registry import find_task
from enct5.tokenization.unread import Unread

CUT = {"a long text": {"long": 1, "tokens_cut": 36}}


class Echo:
    """Stands for a predictor: the prediction is made of the text, so that a wrong row would show."""

    def __init__(self, task: str = "single", text: tuple[str, ...] = ("text",)) -> None:
        self.task = find_task(task)
        self.config = TrainedOn("a.csv", text, "label")
        self.unread, self.warns_of_unknown = Unread(), True
        self.tokenizer = SimpleNamespace(model_max_length=64)

    def stream(self, texts: Iterable[Any], abstain_below: float | None = None) -> Iterator[dict[str, Any]]:
        for text in texts:
            # letters beyond ASCII stand for unknown ones
            unknown = Counter(filter(lambda character: character > "~", text))
            self.unread += Unread(1, len(text), unknown, tokens=100, **CUT.get(text, {}))
            joined = text if isinstance(text, str) else " + ".join(text)
            if self.task.alias == "multi":
                yield {"labels": [joined, 'b "quoted"'], "scores": [0.9, 0.1 + 0.2]}
            elif self.task.alias == "regression":
                yield {"value": len(joined) / 3}
            else:
                yield {"label": f"<{joined}>", "score": len(joined) / 7}
