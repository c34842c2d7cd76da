"""The distillation script: its tokenizer knows every text, its batches are what they say, its T5 learns the teacher."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import (
    BertConfig,
    BertModel,
    BertTokenizer,
    PreTrainedTokenizerBase,
    T5Config,
    TrainerControl,
    TrainerState,
)

from corpus import passages
from distill_t5 import Clock
from distillation import DistilledT5, Teacher, start_as_nothing, word_matches, word_means
from distillation_batches import NO_WORD, Batches, Passages, encode_passages
from prepare_distillation import Prepared, encode_file, nearest
from teacher_vocabulary import Piece, build_tokenizer, choose_pieces, start_embedding

WORDS = ["the", "parcel", "card", "is", "late", "blue", "paris", "we", "wait", "for", "it", "please", "send"]
TEXTS = [
    "The parcel is late.",
    "We wait for the blue card!",
    "Paris, please: send it",
    "it is the card",
    "please wait for Paris",
    "THE card is blue, is it?",
    "Please wait for the blue card, it is late: the parcel is in Paris.",
]


@pytest.fixture(scope="module")
def teacher_tokenizer(tmp_path_factory: pytest.TempPathFactory) -> PreTrainedTokenizerBase:
    letters = [chr(code) for code in range(ord("a"), ord("z") + 1)]
    tokens = [
        "[PAD]",
        "[UNK]",
        "[CLS]",
        "[SEP]",
        "[MASK]",
        "[unused1]",
        *".,!?:'",
        *letters,
        *WORDS,
        *(f"##{c}" for c in letters),
    ]
    path = tmp_path_factory.mktemp("teacher") / "vocab.txt"
    path.write_text("\n".join(tokens), encoding="utf-8")
    return BertTokenizer(str(path), do_lower_case=True)


@pytest.fixture(scope="module")
def pieces(teacher_tokenizer: PreTrainedTokenizerBase) -> list[Piece]:
    words = Counter({"the": 50.0, "The": 20.0, "Paris": 9.0, "card": 8.0, "parcel": 3.0, "THE": 2.0, "late": 0.01})
    return choose_pieces(teacher_tokenizer, words, 200)


@pytest.fixture(scope="module")
def tokenizer(pieces: list[Piece]) -> PreTrainedTokenizerBase:
    return build_tokenizer(pieces)


@pytest.mark.parametrize(
    "text", ["日本語のテキスト", "Größe für 5 €", "😄👍🏽", "ภาษาไทย", "ქართული", "na\u0308ive", "\U0001f9ff"]
)
def test_no_text_is_unknown(text: str, tokenizer: PreTrainedTokenizerBase) -> None:
    ids = tokenizer(text)["input_ids"]
    assert tokenizer.unk_token_id not in ids
    assert len(ids) > 2


def test_different_texts_of_other_scripts_have_different_tokens(tokenizer: PreTrainedTokenizerBase) -> None:
    rows = tokenizer(["日本", "中国", "ä", "ö", "€", "£"], add_special_tokens=False)["input_ids"]
    assert len({tuple(row) for row in rows}) == 6


def test_words_are_whole_in_every_form_that_is_frequent(tokenizer: PreTrainedTokenizerBase) -> None:
    assert tokenizer.tokenize("The the THE Paris card") == ["▁The", "▁the", "▁THE", "▁Paris", "▁card"]
    assert tokenizer.tokenize("'card'!")[1] == "▁card"  # what stands before a word does not change its piece


def test_pieces_know_their_word_and_their_share(
    pieces: list[Piece], teacher_tokenizer: PreTrainedTokenizerBase
) -> None:
    found = {piece.text: piece for piece in pieces}
    assert found["▁The"].teacher_id == found["▁the"].teacher_id == teacher_tokenizer.convert_tokens_to_ids("the")
    assert (found["▁the"].form, found["▁The"].form, found["▁THE"].form) == (0, 1, 2)
    assert found["▁the"].share > found["▁The"].share > found["▁THE"].share
    assert found["▁Paris"].share > found["▁paris"].share  # as the corpus writes it
    assert {"a", "A", "▁a", "▁A"} <= set(found)
    assert not any("[" in text for text in found)  # the teacher's special tokens are no text
    assert [piece.teacher_id for piece in pieces if len(piece.text) == 1] == sorted(
        piece.teacher_id for piece in pieces if len(piece.text) == 1
    )  # one order in every run


def test_pairs_end_each_text(tokenizer: PreTrainedTokenizerBase) -> None:
    encoded = tokenizer("the card", "is late")
    tokens = tokenizer.convert_ids_to_tokens(encoded["input_ids"])
    assert tokens[:3] == ["▁the", "▁card", "</s>"]
    assert tokens[-1] == "</s>"
    assert "token_type_ids" not in encoded


def test_token_vectors_keep_their_size_through_t5s_normalisation(pieces: list[Piece]) -> None:
    rng = np.random.default_rng(0)
    vectors = rng.standard_normal((len(pieces), 24)).astype(np.float32)
    embedding = start_embedding(vectors, pieces, 512, 17)
    first = 3 + 256 + 1
    norms = embedding[first : first + len(pieces)].norm(dim=1)
    assert (norms >= 17**0.5 - 1e-4).all()  # the last column fills up what a vector lacks
    assert norms.median().item() == pytest.approx(17**0.5, rel=1e-5)
    found = {piece.text: embedding[first + place, :-1] for place, piece in enumerate(pieces)}
    assert found["▁the"].norm() < found["▁blue"].norm()  # frequent words say little
    assert torch.allclose(found["▁The"] - found["▁the"], torch.zeros(16), atol=1e-6) is False


def test_passages_keep_all_words_in_order() -> None:
    paragraph = " ".join(f"w{i} x{i} y{i} z{i}." for i in range(40))
    found = passages(paragraph, np.random.default_rng(0), most_words=30)
    assert " ".join(found) == paragraph
    assert max(len(text.split()) for text in found) <= 30
    assert any(text.count(".") > 1 for text in found)
    assert any(text.count(".") == 1 for text in found)


@pytest.fixture(scope="module")
def encoded(tokenizer: PreTrainedTokenizerBase, teacher_tokenizer: PreTrainedTokenizerBase) -> Passages:
    return encode_passages(TEXTS, tokenizer, teacher_tokenizer)


def test_both_tokenizers_words_are_the_same_words(
    encoded: Passages, tokenizer: PreTrainedTokenizerBase, teacher_tokenizer: PreTrainedTokenizerBase
) -> None:
    assert len(encoded) == len(TEXTS)
    for index in range(len(encoded)):
        own, own_words, other, other_words = encoded.row(index)
        assert own_words[-1] == other_words[-1]
        for word in range(own_words[-1] + 1):
            ours = "".join(tokenizer.convert_ids_to_tokens(own[own_words == word])).strip("▁").lower()
            theirs = "".join(teacher_tokenizer.convert_ids_to_tokens(other[other_words == word])).replace("##", "")
            assert ours == theirs


def batches(encoded: Passages, **changed: int) -> Batches:
    values = {"size": 8, "tokens": 24, "seed": 0, "pairs_every": 2, "spans_every": 0, "first_sentinel": 480} | changed
    return Batches(encoded, np.ones(len(encoded)), **values)


def test_what_is_prepared_is_read_as_it_was_written(
    pieces: list[Piece], tokenizer: PreTrainedTokenizerBase, encoded: Passages, tmp_path: Path
) -> None:
    neighbours = np.arange(len(encoded) * 2, dtype=np.int32).reshape(-1, 2)
    sizes = {"a.txt": (len(encoded), len(encoded.student))}
    Prepared(tokenizer, pieces, encoded, sizes, neighbours).write(tmp_path)
    read = Prepared.read(tmp_path)
    assert read.pieces == pieces
    assert read.sizes == sizes
    assert read.tokenizer("Größe, the card")["input_ids"] == tokenizer("Größe, the card")["input_ids"]
    np.testing.assert_array_equal(read.neighbours, neighbours)
    for name, array in vars(encoded).items():
        np.testing.assert_array_equal(getattr(read.passages, name), array)


def test_a_files_passages_are_those_of_its_first_paragraphs(
    tokenizer: PreTrainedTokenizerBase, teacher_tokenizer: PreTrainedTokenizerBase, tmp_path: Path
) -> None:
    (tmp_path / "a.txt").write_text("\n".join(TEXTS), encoding="utf-8")
    some = encode_file(tmp_path / "a.txt", tokenizer, teacher_tokenizer, 2)
    assert tokenizer.decode(some.student) == "The parcel is late. We wait for the blue card!"


def test_neighbours_are_other_passages_with_the_same_words(
    tokenizer: PreTrainedTokenizerBase, teacher_tokenizer: PreTrainedTokenizerBase, pieces: list[Piece]
) -> None:
    texts = ["we wait for the card", "send it please to paris", "please send it in paris", "for the blue card we wait"]
    found = encode_passages(texts, tokenizer, teacher_tokenizer)
    vectors = np.random.default_rng(0).normal(size=(len(pieces), 32)).astype(np.float32)
    neighbours = nearest(found, start_embedding(vectors, pieces, len(tokenizer), 16), 0)
    assert neighbours[:, 0].tolist() == [3, 2, 1, 0]
    assert not (neighbours == np.arange(4)[:, None]).any()


def test_a_run_ends_by_its_steps_or_by_its_minutes(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr("distill_t5.time.monotonic", lambda: now[0])
    by_steps, by_time = Clock(10, None), Clock(10, 2.0)
    now[0] += 90
    assert by_steps.left(4) == pytest.approx(0.6)
    assert by_time.left(4) == pytest.approx(0.25)
    assert by_time.left(9) == pytest.approx(0.1)
    now[0] += 31
    control = TrainerControl()
    by_time.on_step_end(None, TrainerState(global_step=4), control)
    assert control.should_training_stop


def test_a_batch_follows_from_seed_and_number(encoded: Passages) -> None:
    first, again, other = batches(encoded)[3], batches(encoded)[3], batches(encoded, seed=1)[3]
    assert torch.equal(first["input_ids"], again["input_ids"])
    assert first["input_ids"].shape != other["input_ids"].shape or not torch.equal(
        first["input_ids"], other["input_ids"]
    )


def test_batches_of_pairs_join_two_texts_word_by_word(encoded: Passages) -> None:
    batch = batches(encoded)[1]
    assert batch["pairs"] is True
    rows = len(batch["input_ids"])
    assert len(batch["teacher_ids"]) == 2 * rows
    counts = (batch["teacher_words"].max(1).values + 1).view(rows, 2).sum(1)
    assert torch.equal(batch["words"].max(1).values + 1, counts)
    assert ((batch["input_ids"] == 1).sum(1) == 2).all()
    assert (batch["words"][batch["input_ids"] == 1] == NO_WORD).all()


def test_word_means_are_means_over_each_words_tokens() -> None:
    states = torch.arange(10.0).view(1, 5, 2).repeat(2, 1, 1)
    words = torch.tensor([[0, 0, 1, 1, 1], [0, 1, 2, -1, -1]])
    found = word_means(states, words, torch.tensor([2, 3]))
    assert torch.equal(found, torch.tensor([[1.0, 2.0], [6.0, 7.0], [0.0, 1.0], [2.0, 3.0], [4.0, 5.0]]))


def test_a_words_match_is_its_largest_cosine_in_the_other_text() -> None:
    first = torch.tensor([[1.0, 0.0], [0.0, 2.0]])
    second = torch.tensor([[3.0, 3.0], [5.0, 0.0], [-1.0, 0.0]])
    found = word_matches(torch.cat([first, second]), torch.tensor([2, 3]))
    torch.testing.assert_close(found, torch.tensor([1.0, 0.5**0.5, 0.5**0.5, 1.0, 0.0]))


@pytest.fixture
def model(tokenizer: PreTrainedTokenizerBase, teacher_tokenizer: PreTrainedTokenizerBase) -> DistilledT5:
    torch.manual_seed(0)
    bert = BertModel(
        BertConfig(
            vocab_size=len(teacher_tokenizer),
            hidden_size=16,
            num_hidden_layers=2,
            num_attention_heads=2,
            intermediate_size=32,
            max_position_embeddings=64,
        )
    )
    config = T5Config(
        vocab_size=len(tokenizer),
        d_model=24,
        d_kv=6,
        d_ff=32,
        num_heads=4,
        num_layers=2,
        num_decoder_layers=1,
        feed_forward_proj="gated-gelu",
        dropout_rate=0.0,
        decoder_start_token_id=0,
        teacher_width=16,
    )
    model = DistilledT5(config)
    start_as_nothing(model)
    model.teacher.append(Teacher(bert, teacher_tokenizer.cls_token_id, teacher_tokenizer.sep_token_id))
    return model


def test_the_teacher_reads_padded_texts_as_it_reads_them_alone(
    model: DistilledT5, encoded: Passages, teacher_tokenizer: PreTrainedTokenizerBase
) -> None:
    batch = batches(encoded, pairs_every=0, tokens=200)[0]
    real = batch["teacher_words"] >= 0
    states, vectors = model.teacher[0](batch["teacher_ids"], real)
    for row in range(len(real)):
        ids = batch["teacher_ids"][row][real[row]].tolist()
        whole = (
            teacher_tokenizer.build_inputs_with_special_tokens(ids)
            if hasattr(teacher_tokenizer, "build_inputs_with_special_tokens")
            else [teacher_tokenizer.cls_token_id, *ids, teacher_tokenizer.sep_token_id]
        )
        alone = model.teacher[0].model(input_ids=torch.tensor([whole])).last_hidden_state[0]
        assert torch.allclose(states[row][real[row]], alone[1:-1], atol=1e-5)
        assert torch.allclose(vectors[row], torch.nn.functional.normalize(alone.mean(0), dim=-1), atol=1e-5)


def test_layers_that_start_as_nothing_leave_token_vectors_and_their_mean(model: DistilledT5) -> None:
    model.eval()
    ids = torch.tensor([[300, 301, 302, 303]])
    with torch.no_grad():
        hidden = model.encoder(input_ids=ids).last_hidden_state
        decoded = model.decoder(
            input_ids=torch.zeros(1, 1, dtype=torch.long), encoder_hidden_states=hidden, use_cache=False
        ).last_hidden_state[:, 0]
        vectors = model.shared(ids)
    assert hidden[..., -1].abs().max() == 0  # the column that only fills up
    assert torch.cosine_similarity(hidden[..., :-1], vectors[..., :-1], dim=-1).min() > 0.98
    mean = hidden.mean(1)
    cross = model.decoder.block[0].layer[1].EncDecAttention
    passed_on = cross.o(cross.v(mean))
    assert torch.cosine_similarity(decoded, passed_on, dim=-1).item() > 0.8


def test_every_part_of_the_loss_falls(model: DistilledT5, encoded: Passages) -> None:
    data = batches(encoded, pairs_every=3, spans_every=4, size=12, tokens=40)
    rows = [data[index] for index in range(len(data))]
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3)

    def measure() -> dict[str, float]:
        found: dict[str, list[float]] = {}
        with torch.no_grad():
            for row in rows:
                for name, value in model(**row).items():
                    found.setdefault(name, []).append(value.item())
        return {name: float(np.mean(values)) for name, values in found.items()}

    before = measure()
    assert set(before) == {"loss", "word", "passage", "decoder", "matrix", "likeness", "difference", "match", "spans"}
    for _ in range(12):
        for row in rows:
            optimizer.zero_grad()
            model(**row)["loss"].backward()
            optimizer.step()
    after = measure()
    assert all(after[name] < 0.8 * before[name] for name in before), (before, after)


def test_what_is_kept_is_a_t5_with_the_same_states(model: DistilledT5) -> None:
    plain = model.eval().plain().eval()
    ids = torch.tensor([[300, 301, 302, 1]])
    with torch.no_grad():
        ours, theirs = model.encoder(input_ids=ids)[0], plain.encoder(input_ids=ids)[0]
    assert torch.equal(ours, theirs)
    assert not any("map" in name or "word_" in name for name in plain.state_dict())
    assert not hasattr(plain.config, "teacher_width")
    assert plain.config.to_dict()["decoder_reads_with_pad"] is True
