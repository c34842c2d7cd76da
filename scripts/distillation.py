"""What a T5 learns from a sentence encoder: the model with its losses (distillation_batches.py has what it reads).

Five things are learned at once (arXiv 2002.10957 and 2004.09813 have the first two for other models):

- every **word's** state: the mean of its pieces' states, mapped linearly, is the teacher's (standardised);
- every **passage's** vector: the mean state, mapped linearly, points where the teacher's does; and passages are as
  alike to each other by their mean states as by the teacher's vectors;
- every word's **match**: of two passages that are read together, how well the other has a word like it;
- what EncT5 asks of a **decoder**: its only token, `<pad>`, ends in a state that tells the passage's vector; for a
  pair, it tells how alike the two texts are to the teacher;
- T5's own **span corruption**, so that encoder and decoder stay a T5's.
"""

import torch
from torch import nn
from torch.nn import functional
from transformers import BertModel, T5Config, T5ForConditionalGeneration

from distillation_batches import PAD

NOTHING = 0.02  # what is left of a layer's output matrix at the start
SPANS_WEIGHT = 0.3
WEIGHTS = {"word": 1.0, "passage": 2.0, "decoder": 1.0, "matrix": 2.0, "likeness": 8.0, "difference": 1.0, "match": 4.0}


class Teacher:
    """A BERT-like sentence encoder, frozen.

    Args:
        model: Its mean state, of unit length, is a text's vector.
        first, last: Ids of the tokens around every text (`[CLS]`, `[SEP]`).
    """

    def __init__(self, model: BertModel, first: int, last: int) -> None:
        self.model, self.first, self.last = model.eval(), first, last

    @torch.no_grad()
    def __call__(self, ids: torch.Tensor, real: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """States `(texts, tokens, width)` of the tokens between first and last, and vectors `(texts, width)`."""
        texts, width = ids.shape
        lengths = real.sum(1)
        whole = ids.new_zeros(texts, width + 2)
        whole[:, 0] = self.first
        whole[:, 1:-1] = ids * real
        whole[torch.arange(texts), lengths + 1] = self.last
        mask = torch.arange(width + 2)[None, :].to(ids.device) < (lengths + 2)[:, None]
        states = self.model(input_ids=whole, attention_mask=mask.long()).last_hidden_state.float()
        vectors = (states * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)
        return states[:, 1:-1], functional.normalize(vectors, dim=-1)


def word_means(states: torch.Tensor, words: torch.Tensor, per_text: torch.Tensor) -> torch.Tensor:
    """Mean state of every word, `(words of all texts, width)`; `per_text` says how many words each text has."""
    offsets = (per_text.cumsum(0) - per_text)[:, None]
    flat = (words + offsets)[words >= 0]
    found = states[words >= 0]
    total = int(per_text.sum())
    sums = states.new_zeros(total, states.shape[-1]).index_add(0, flat, found)
    return sums / states.new_zeros(total).index_add(0, flat, found.new_ones(len(flat)))[:, None]


def word_matches(states: torch.Tensor, per_text: torch.Tensor) -> torch.Tensor:
    """How well the other text of a pair has a word like it: for every word the largest cosine, `(words,)`.

    Args:
        states: Of the words of all texts, `(words, width)`; texts 0 and 1 are a pair, 2 and 3, and so on.
        per_text: How many words each text has.
    """
    real = torch.arange(int(per_text.max()), device=states.device) < per_text[:, None]
    texts = states.new_zeros(*real.shape, states.shape[-1])
    texts[real] = functional.normalize(states, dim=-1)
    likeness = texts[0::2] @ texts[1::2].transpose(1, 2)
    likeness = likeness.masked_fill(~(real[0::2, :, None] & real[1::2, None, :]), -1.0)
    return torch.stack([likeness.amax(2), likeness.amax(1)], dim=1).view(real.shape)[real]


class DistilledT5(T5ForConditionalGeneration):
    """A T5 with the linear maps to its teacher's space, which are thrown away afterwards.

    Attributes:
        teacher: The teacher, set after loading; neither saved nor trained.
    """

    def __init__(self, config: T5Config) -> None:
        super().__init__(config)
        own, other = config.d_model, config.teacher_width
        self.word_map, self.passage_map = nn.Linear(own, other), nn.Linear(own, other)
        self.decoder_map, self.difference_map = nn.Linear(own, other), nn.Linear(own, other)
        self.likeness_map, self.match_map = nn.Linear(own, 1), nn.Linear(own, 1)
        self.register_buffer("word_mean", torch.zeros(other))
        self.register_buffer("word_std", torch.ones(other))
        self.teacher: list[Teacher] = []  # in a list, so that it is no part of the model

    def forward(
        self,
        input_ids: torch.Tensor,
        labels: torch.Tensor | None = None,
        words: torch.Tensor | None = None,
        teacher_ids: torch.Tensor | None = None,
        teacher_words: torch.Tensor | None = None,
        pairs: bool = False,
    ) -> dict[str, torch.Tensor]:
        """The loss of a batch, and what it is made of."""
        mask = input_ids != PAD
        if labels is not None:
            spans = super().forward(input_ids=input_ids, attention_mask=mask, labels=labels).loss
            return {"loss": SPANS_WEIGHT * spans, "spans": spans.detach()}
        hidden = self.encoder(input_ids=input_ids, attention_mask=mask).last_hidden_state
        decoded = self.decoder(
            input_ids=torch.full_like(input_ids[:, :1], PAD),
            encoder_hidden_states=hidden,
            encoder_attention_mask=mask,
            use_cache=False,
        ).last_hidden_state[:, 0]
        states, vectors = self.teacher[0](teacher_ids, teacher_words >= 0)
        counts = teacher_words.max(1).values + 1
        with torch.autocast(input_ids.device.type, enabled=False):
            targets = (word_means(states, teacher_words, counts) - self.word_mean) / self.word_std
            hidden, decoded = hidden.float(), decoded.float()
            found = word_means(hidden, words, counts.view(-1, 2).sum(1) if pairs else counts)
            parts = {"word": functional.mse_loss(self.word_map(found), targets)}
            if pairs:
                matches = word_matches(targets, counts)
                parts["match"] = functional.mse_loss(self.match_map(found)[:, 0], matches)
                parts |= self._pairs(decoded, vectors)
            else:
                parts |= self._passages(hidden, mask, decoded, vectors)
        loss = sum(WEIGHTS[name] * part for name, part in parts.items())
        return {"loss": loss, **{name: part.detach() for name, part in parts.items()}}

    def _passages(
        self, hidden: torch.Tensor, mask: torch.Tensor, decoded: torch.Tensor, vectors: torch.Tensor
    ) -> dict[str, torch.Tensor]:
        means = (hidden * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)
        own = functional.normalize(means - means.mean(0), dim=-1)
        other = functional.normalize(vectors - vectors.mean(0), dim=-1)
        return {
            "passage": (1 - functional.cosine_similarity(self.passage_map(means), vectors)).mean(),
            "decoder": (1 - functional.cosine_similarity(self.decoder_map(decoded), vectors)).mean(),
            "matrix": ((own @ own.T - other @ other.T) ** 2).mean(),
        }

    def _pairs(self, decoded: torch.Tensor, vectors: torch.Tensor) -> dict[str, torch.Tensor]:
        first, second = vectors[0::2], vectors[1::2]
        difference = (first - second).abs() * first.shape[-1] ** 0.5  # of a size near 1
        return {
            "likeness": functional.mse_loss(self.likeness_map(decoded)[:, 0], (first * second).sum(-1)),
            "difference": functional.mse_loss(self.difference_map(decoded), difference),
        }

    def body_and_maps(self) -> tuple[list[nn.Parameter], list[nn.Parameter]]:
        """The T5's parameters, and those of the maps, which are thrown away afterwards."""
        body: list[nn.Parameter] = []
        maps: list[nn.Parameter] = []
        for name, parameter in self.named_parameters():
            (maps if "_map." in name else body).append(parameter)
        return body, maps

    def plain(self) -> T5ForConditionalGeneration:
        """The T5 alone."""
        config = T5Config(**{key: value for key, value in self.config.to_dict().items() if key != "teacher_width"})
        config.architectures = [T5ForConditionalGeneration.__name__]
        config.decoder_reads_with_pad = True  # so `enct5 train` leaves the decoder as it is
        model = T5ForConditionalGeneration(config)
        model.load_state_dict(
            {name: tensor for name, tensor in self.state_dict().items() if name in model.state_dict()}
        )
        return model


@torch.no_grad()
def start_as_nothing(model: T5ForConditionalGeneration) -> None:
    """Let all layers start as nearly nothing, so that the encoder's states are the token vectors at first.

    Of four heads of the encoder, one looks at what comes before, one at what comes after, one around; the fourth,
    between the first layer and the last, at the same token elsewhere, as whoever compares two texts must. The decoder's
    cross-attention passes on the mean of the encoder's states, so that its only token starts as the mean of the text's
    token vectors.
    """
    for block in [*model.encoder.block, *model.decoder.block]:
        block.layer[0].SelfAttention.o.weight.mul_(NOTHING)
        block.layer[-1].DenseReluDense.wo.weight.mul_(NOTHING)
    attention = model.encoder.block[0].layer[0].SelfAttention
    buckets, reach = attention.relative_attention_num_buckets, attention.relative_attention_max_distance
    offsets = torch.arange(-2 * reach, 2 * reach + 1)  # position of the key minus that of the query
    bucket_of = attention._relative_position_bucket(offsets, True, buckets, reach)
    for bucket in bucket_of.unique():
        offset = offsets[bucket_of == bucket].float().mean()
        fall, side = torch.log1p(offset.abs()), torch.sign(offset)
        elsewhere = -6.0 * (offset == 0)  # against a token's likeness to itself, 8 on average
        kinds = torch.stack([4 - 2 * fall - side, 4 - 2 * fall + side, 2 - fall, elsewhere])
        heads = torch.arange(attention.n_heads)
        attention.relative_attention_bias.weight[bucket] = kinds[heads % len(kinds)]
    for block in list(model.encoder.block)[1:-1]:
        own = block.layer[0].SelfAttention
        rows = torch.arange(own.inner_dim).view(own.n_heads, -1)[3::4].flatten()
        own.k.weight[rows, -1] = 0.0  # see start_embedding
        own.q.weight[rows] = own.k.weight[rows] / own.key_value_proj_dim**0.5
    for block in model.decoder.block:
        cross = block.layer[1].EncDecAttention
        cross.q.weight.mul_(0.1)
        nn.init.orthogonal_(cross.v.weight)
        cross.o.weight.copy_(cross.v.weight.T)
    model.shared.weight[PAD] *= 0.1
    model.encoder.final_layer_norm.weight[-1] = 0.0  # see start_embedding
