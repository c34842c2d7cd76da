"""The folded model of several tasks: long texts are read in the plain model's windows."""

import pytest
import torch

from enct5.folding import model as folding
from enct5.folding.model import FoldedEncT5
from enct5.folding.tasks import FoldedTasks
from enct5.model.modeling_enct5_tasks import EncT5ForTasks
from helpers.models import MULTI, SINGLE, SMALL, TOKENS, assert_near, random_model

pytestmark = pytest.mark.usefixtures("one_thread")

LENGTHS = (100, 33, 16, 5)


@pytest.mark.parametrize("order", [("tags", "topics", "intent"), ("intent", "topics", "tags")])
@pytest.mark.parametrize("at_once", [40, 512])
@torch.no_grad()
def test_every_task_reads_all_windows_of_long_texts(
    order: tuple[str, ...], at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folding, "WINDOW_TOKENS", at_once)
    models = {
        "intent": random_model(num_labels=3, encoder_window=16),
        "topics": random_model(num_labels=4, problem_type=MULTI, encoder_window=16),
        "tags": random_model(num_labels=5, problem_type=TOKENS),
    }
    assert models["intent"].config.problem_type == SINGLE
    for model in models.values():
        model.transformer.encoder = models["intent"].transformer.encoder
    alone = {name: FoldedEncT5(models[name]) for name in ("intent", "topics")}
    several = EncT5ForTasks.from_models({name: models[name] for name in order}).eval()
    generator = torch.Generator().manual_seed(0)
    texts = [torch.randint(1, SMALL["vocab_size"], (length,), generator=generator) for length in LENGTHS]
    found = FoldedTasks(several)(torch.cat(texts), LENGTHS)
    plain = [several(text[None], attention_mask=torch.ones_like(text)[None]).logits for text in texts]
    for name in order:
        assert_near(found[name], torch.cat([logits[name].flatten(0, -2) for logits in plain]))
    for name, model in alone.items():
        torch.testing.assert_close(found[name], model(torch.cat(texts), LENGTHS), atol=1e-5, rtol=0)
