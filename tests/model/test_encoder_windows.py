"""Long texts whose encoder reads windows: what each window is, and what changes nothing."""

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from huggingface_hub.errors import StrictDataclassError
from hypothesis import given, settings
from hypothesis import strategies as st

from enct5 import EncT5Config, EncT5ForSequenceClassification, EncT5ForTokenClassification
from enct5.model.modeling_enct5 import EncoderWindows, EncT5ForClassification
from helpers.models import FAMILIES, MULTI, REGRESSION, SINGLE, SMALL, TOKENS, random_model

LENGTHS = st.lists(st.integers(1, 40), min_size=1, max_size=5)


def padded(texts: list[torch.Tensor], sides: list[int], length: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Ids and mask of texts that begin at `sides`, as far as there is room for it."""
    ids, mask = torch.zeros(2, len(texts), length, dtype=torch.long)
    for row, (text, side) in enumerate(zip(texts, sides, strict=True)):
        start = min(side, length - len(text))
        ids[row, start : start + len(text)] = text
        mask[row, start : start + len(text)] = 1
    return ids, mask


def random_texts(lengths: list[int]) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(len(lengths))
    return [torch.randint(1, SMALL["vocab_size"], (length,), generator=generator) for length in lengths]


@torch.no_grad()
def by_hand(model: EncT5ForClassification, text: torch.Tensor) -> torch.Tensor:
    """The logits of a text each window of which is encoded alone, `(num_labels,)`."""
    parts = text.split(model.config.window_lengths(len(text)))
    encoder = model.transformer.encoder
    states = torch.cat([encoder(part[None], torch.ones_like(part)[None]).last_hidden_state for part in parts], dim=1)
    return model(encoder_outputs=(states,)).logits[0]


@given(st.integers(1, 5000), st.integers(1, 700))
@settings(deadline=None)
def test_windows_are_few_equal_and_hold_the_text(tokens: int, window: int) -> None:
    lengths = EncT5Config(encoder_window=window).window_lengths(tokens)
    assert sum(lengths) == tokens
    assert len(lengths) == -(-tokens // window)
    assert len({*lengths[:-1]}) <= 1
    assert 1 <= lengths[-1] <= lengths[0] <= window
    assert EncT5Config().window_lengths(tokens) == [tokens]


@given(LENGTHS, st.integers(1, 12), st.data())
@settings(max_examples=50, deadline=None)
def test_padding_order_and_neighbours_change_nothing(lengths: list[int], window: int, data: Any) -> None:
    model = random_model(num_labels=3, encoder_window=window)
    texts = random_texts(lengths)
    length = max(lengths) + data.draw(st.integers(0, 15))
    sides = data.draw(st.lists(st.integers(0, 60), min_size=len(texts), max_size=len(texts)))
    ids, mask = padded(texts, sides, length)
    with torch.no_grad():
        logits = model(ids, mask).logits
    for row, text in enumerate(texts):
        torch.testing.assert_close(logits[row], by_hand(model, text), atol=1e-4, rtol=0)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize(("problem_type", "labels"), [(SINGLE, 3), (MULTI, 4), (REGRESSION, 1)])
def test_every_family_and_task_reads_all_windows(family: str, problem_type: str, labels: int) -> None:
    model = random_model(num_labels=labels, problem_type=problem_type, encoder_window=8, **FAMILIES[family])
    texts = random_texts([30, 8, 17, 1])
    ids, mask = padded(texts, [0, 0, 0, 0], 30)
    with torch.no_grad():
        logits = model(ids, mask).logits
    for row, text in enumerate(texts):
        torch.testing.assert_close(logits[row], by_hand(model, text), atol=1e-4, rtol=0)
    last = mask.clone()
    last[0, 29] = 0  # the last window counts
    assert (model(ids, last).logits[0] - logits[0]).abs().max() > 1e-4


def test_a_batch_within_one_window_is_encoded_as_without() -> None:
    model = random_model(num_labels=3, encoder_window=9)
    ids, mask = padded(random_texts([9, 4, 1]), [0, 5, 0], 9)
    with torch.no_grad():
        windowed = model(ids, mask).logits
        model.config.encoder_window = None
        assert torch.equal(model(ids, mask).logits, windowed)
        model.config.encoder_window = 8
        assert not torch.equal(model(ids, mask).logits[0], windowed[0])


def test_windows_without_text_are_not_encoded() -> None:
    model = random_model(num_labels=3, encoder_window=10)
    seen: list[torch.Size] = []
    model.transformer.encoder.embed_tokens.register_forward_pre_hook(lambda _, args: seen.append(args[0].shape))
    ids, mask = padded(random_texts([35, 1, 11]), [0, 0, 0], 35)
    model(ids, mask)
    assert seen == [torch.Size((4 + 1 + 2, 9))]


def test_a_text_of_padding_alone_is_finite_and_disturbs_nobody() -> None:
    model = random_model(num_labels=3, encoder_window=4)
    (text,) = random_texts([11])
    ids, mask = padded([text, text[:0]], [0, 0], 11)
    with torch.no_grad():
        logits = model(ids, mask).logits
    assert logits.isfinite().all()
    torch.testing.assert_close(logits[0], by_hand(model, text), atol=1e-4, rtol=0)


def test_a_text_with_gaps_is_cut_between_its_first_and_last_token() -> None:
    mask = torch.tensor([[0, 1, 0, 0, 0, 1, 1, 0]])
    windows = EncoderWindows(mask, 4)
    assert windows.split(torch.arange(8)[None]).tolist() == [[1, 2, 3], [4, 5, 6]]
    assert windows.attention_mask.tolist() == [[1, 0, 0], [0, 1, 1]]


@pytest.mark.parametrize("attention", ["eager", "sdpa"])
def test_embedded_and_encoded_texts_give_the_same(attention: str) -> None:
    model = random_model(num_labels=3, encoder_window=5)
    model.set_attn_implementation(attention)
    ids, mask = padded(random_texts([14, 6]), [0, 3], 14)
    with torch.no_grad():
        outputs = model(ids, mask)
        embedded = model.get_input_embeddings()(ids)
        assert torch.equal(model(inputs_embeds=embedded, attention_mask=mask).logits, outputs.logits)
        assert torch.equal(
            model(inputs_embeds=embedded[:1]).logits, model(inputs_embeds=embedded[:1], attention_mask=mask[:1]).logits
        )
        again = model(encoder_outputs=(outputs.encoder_last_hidden_state,), attention_mask=mask).logits
        assert torch.equal(again, outputs.logits)
        ids = torch.where(mask == 1, ids, 0)  # the mask is made of the padding's id
        assert torch.equal(model(ids).logits, outputs.logits)
    with pytest.raises(ValueError, match="exactly one of input_ids or inputs_embeds"):
        model(ids, inputs_embeds=embedded)
    with pytest.raises(ValueError, match=r"must have the shape \(2, 14\), one number a token, not \(2, 1, 14, 14\)"):
        model(ids, attention_mask=torch.ones(2, 1, 14, 14))


def test_hidden_states_and_attentions_are_those_of_the_windows() -> None:
    model = random_model(num_labels=3, encoder_window=5)
    model.set_attn_implementation("eager")
    text, short = random_texts([13, 4])
    ids, mask = padded([text, short], [0, 6], 13)
    with torch.no_grad():
        outputs = model(ids, mask, output_hidden_states=True, output_attentions=True)
        parts = text.split(model.config.window_lengths(13))
        wanted = [
            model.transformer.encoder(part[None], output_hidden_states=True, output_attentions=True) for part in parts
        ]
    assert len(outputs.encoder_hidden_states) == len(outputs.encoder_attentions) + 1 == 3
    for layer, states in enumerate(outputs.encoder_hidden_states):
        torch.testing.assert_close(states[:1], torch.cat([part.hidden_states[layer] for part in wanted], dim=1))
    for layer, weights in enumerate(outputs.encoder_attentions):
        assert weights.shape == (2, 4, 13, 13)
        blocks = [torch.block_diag(*(part.attentions[layer][0, head] for part in wanted)) for head in range(4)]
        torch.testing.assert_close(weights[0], torch.stack(blocks))
        torch.testing.assert_close(weights[1, :, 6:10].sum(-1), torch.ones(4, 4))
        assert (weights[1, :, 6:10, :6] == 0).all()
        assert (weights[1, :, 6:10, 10:] == 0).all()
    assert outputs.cross_attentions[0].shape == (2, 4, 1, 13)
    torch.testing.assert_close(outputs.cross_attentions[0][0].sum(-1), torch.ones(4, 1))


def test_gradients_are_those_of_the_windows_one_by_one() -> None:
    model = random_model(num_labels=3, encoder_window=5)
    texts = random_texts([14, 3, 9])
    ids, mask = padded(texts, [0, 4, 1], 14)
    gradients = []
    for checkpointing in (False, True):
        if checkpointing:
            model.gradient_checkpointing_enable({"use_reentrant": False})
        model.train()
        for module in model.modules():
            if isinstance(module, torch.nn.Dropout):
                module.p = 0.0
        for block in model.transformer.encoder.block:
            block.layer[0].SelfAttention.dropout = 0.0
        for block in model.transformer.decoder.block:
            block.layer[0].SelfAttention.dropout = block.layer[1].EncDecAttention.dropout = 0.0
        model.zero_grad()
        model(ids, mask, labels=torch.tensor([0, 1, 2])).loss.backward()
        gradients.append({name: parameter.grad.clone() for name, parameter in model.named_parameters()})
    model.zero_grad()
    model.gradient_checkpointing_disable()
    losses = []
    for text, label in zip(texts, torch.eye(3), strict=True):
        parts = text.split(model.config.window_lengths(len(text)))
        states = torch.cat([model.transformer.encoder(part[None]).last_hidden_state for part in parts], dim=1)
        losses.append(torch.nn.functional.cross_entropy(model(encoder_outputs=(states,)).logits[0], label))
    torch.stack(losses).mean().backward()
    for name, parameter in model.named_parameters():
        for found in gradients:
            torch.testing.assert_close(found[name], parameter.grad, atol=1e-5, rtol=1e-3, msg=name)
    assert model.get_input_embeddings().weight.grad.abs().max() > 1e-4


@pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning")
def test_a_traced_and_an_exported_model_take_other_texts() -> None:
    model = random_model(num_labels=3, encoder_window=5)
    ids, mask = padded(random_texts([14, 3, 9]), [0, 4, 1], 14)
    others, other_mask = padded(random_texts([2, 14, 12]), [12, 0, 0], 14)
    with torch.no_grad():
        wanted = model(others, other_mask).logits
        program = torch.export.export(
            Logits(model), (ids, mask), dynamic_shapes=[{0: torch.export.Dim("texts")}, {0: torch.export.Dim("texts")}]
        ).module()
        torch.testing.assert_close(program(others, other_mask), wanted, atol=1e-4, rtol=0)
        torch.testing.assert_close(program(others[:2], other_mask[:2]), wanted[:2], atol=1e-4, rtol=0)
        traced = torch.jit.trace(Logits(model), (ids, mask))
        torch.testing.assert_close(traced(others, other_mask), wanted, atol=1e-4, rtol=0)


class Logits(torch.nn.Module):
    def __init__(self, model: torch.nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        return self.model(ids, attention_mask=mask).logits


def test_it_is_saved_and_loaded(tmp_path: Path) -> None:
    model = random_model(num_labels=3, encoder_window=5)
    model.save_pretrained(tmp_path)
    loaded = EncT5ForSequenceClassification.from_pretrained(tmp_path)
    assert loaded.config.encoder_window == 5
    (text,) = random_texts([17])
    with torch.no_grad():
        torch.testing.assert_close(loaded(text[None]).logits[0], by_hand(model, text), atol=1e-4, rtol=0)
    assert EncT5ForSequenceClassification.from_pretrained(tmp_path, encoder_window=None).config.encoder_window is None
    assert EncT5Config().encoder_window is None  # the published behaviour


def test_tagging_has_no_such_windows(tmp_path: Path) -> None:
    with pytest.raises(StrictDataclassError, match="`encoder_window` is for labels of texts"):
        EncT5Config(problem_type=TOKENS, encoder_window=5, **SMALL)
    for wrong in (0, -3):
        with pytest.raises(StrictDataclassError, match=f"`encoder_window` is {wrong}; it must be at least 1"):
            EncT5Config(encoder_window=wrong)
    model = random_model(num_labels=3, encoder_window=5)
    assert EncT5ForTokenClassification(copy.deepcopy(model.config)).config.encoder_window is None
    model.save_pretrained(tmp_path)
    tagger = EncT5ForTokenClassification.from_pretrained(tmp_path, problem_type=TOKENS)
    assert tagger.config.encoder_window is None
