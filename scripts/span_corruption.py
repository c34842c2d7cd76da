"""T5's pre-training objective: the decoder writes the spans that sentinels replace (arXiv 1910.10683, 3.1.4)."""

import numpy as np

MEAN_SPAN = 3.0
EOS = 1


def random_partition(rng: np.random.Generator, total: int, parts: int) -> np.ndarray:
    """Lengths of `parts` non-empty segments that sum to `total`, uniformly among all such partitions."""
    cuts = np.sort(rng.choice(total - 1, parts - 1, replace=False)) + 1
    return np.diff(np.concatenate(([0], cuts, [total])))


def corrupt(
    window: np.ndarray, rng: np.random.Generator, first_sentinel: int, noise_density: float
) -> dict[str, np.ndarray]:
    """Replace random spans by sentinels (`input_ids`); the spans behind their sentinels are the `labels`."""
    noise = max(1, round(len(window) * noise_density))
    spans = max(1, round(noise / MEAN_SPAN))
    kept, dropped = random_partition(rng, len(window) - noise, spans), random_partition(rng, noise, spans)
    input_ids, labels, position = [], [], 0
    for index in range(spans):
        sentinel = [first_sentinel - index]
        middle, end = position + kept[index], position + kept[index] + dropped[index]
        input_ids += [window[position:middle], sentinel]
        labels += [sentinel, window[middle:end]]
        position = end
    return {name: np.concatenate([*pieces, [EOS]]) for name, pieces in (("input_ids", input_ids), ("labels", labels))}
