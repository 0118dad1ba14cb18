"""Confidence intervals of scores by percentile bootstrap over the test images.

Each sample draws n of n images with replacement; all scores use the same samples. BLEU and METEOR of a sample come from
the summed counts of its images, ROUGE-L and CIDEr are means over its images. CIDEr's document frequencies are those of
the whole set. The intervals do not include the variance over training seeds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from semantic_cc.errors import DataError
from semantic_cc.metrics.coco_scorer import ORDERS, ImageScores
from semantic_cc.metrics.meteor import Meteor

if TYPE_CHECKING:
    import numpy as np

_AT_ONCE = 4_000_000  # entries of the sample matrix


def intervals(
    images: ImageScores,
    flags: np.ndarray,
    meteor: Meteor | None = None,
    samples: int = 1000,
    seed: int = 0,
    level: float = 0.95,
) -> dict[str, tuple[float, float]]:
    """Score -> lower and upper bound, in percent; "flag_accuracy" is the accuracy of the change flag.

    Args:
        images: scores of n images, at least one.
        flags: ``(n,)`` bool, whether each image's change flag is correct.
        meteor: the process that computed the images' counts; None = no interval for METEOR.
        samples: number of bootstrap samples.
        seed: random seed.
        level: confidence level in (0, 1).

    Raises:
        DataError: `samples` or `level` is out of range.
        ScoringError: METEOR's process failed.
    """
    import numpy as np

    if samples < 1 or not 0 < level < 1:
        raise DataError(f"samples is {samples} and level {level}; give 1 or more, and a share of 0..1")
    blocks = [images.bleu, np.column_stack([100 * flags, images.rouge, images.cider])]
    if images.meteor is not None:
        blocks.append(images.meteor)
    sums = _sums_of_draws(np.hstack(blocks), samples, np.random.default_rng(seed))
    bleu, means, counts = np.split(sums, np.cumsum([block.shape[1] for block in blocks[:2]]), axis=1)
    scores = {f"BLEU-{order}": values for order, values in enumerate(_bleu(bleu).T, start=1)}
    if meteor is not None and images.meteor is not None:
        scores["METEOR"] = 100 * np.array(meteor.of_counts(counts.astype(int).tolist()))
    names = ("flag_accuracy", "ROUGE-L", "CIDEr")
    scores |= dict(zip(names, (means / len(flags)).T, strict=True))
    return {name: _bounds(values, level) for name, values in scores.items()}


def _sums_of_draws(columns: np.ndarray, samples: int, rng: np.random.Generator) -> np.ndarray:
    """Column sums of each sample: ``(n, k)`` -> ``(samples, k)``."""
    import numpy as np

    count = len(columns)
    step = max(1, _AT_ONCE // count)
    parts = []
    for start in range(0, samples, step):
        rows = min(step, samples - start)
        times = np.stack([np.bincount(rng.integers(count, size=count), minlength=count) for _ in range(rows)])
        parts.append(times @ columns)
    return np.concatenate(parts)


def _bleu(sums: np.ndarray) -> np.ndarray:
    """BLEU-1 to BLEU-4 in percent from summed counts, ``(samples, 10)`` -> ``(samples, 4)``, as in pycocoevalcap."""
    import numpy as np

    small, tiny = 1e-9, 1e-15
    given, closest = sums[:, :1], sums[:, 1:2]
    grams, found = sums[:, 2 : 2 + ORDERS], sums[:, 2 + ORDERS :]
    precision = (found + tiny) / (grams + small)
    orders = np.arange(1, ORDERS + 1)
    ratio = (given + tiny) / (closest + small)
    with np.errstate(over="ignore"):  # without words, 1 / ratio is huge and the penalty 0
        penalty = np.where(ratio < 1, np.exp(1 - 1 / ratio), 1.0)
    result: np.ndarray = 100 * np.cumprod(precision, axis=1) ** (1 / orders) * penalty
    return result


def _bounds(values: np.ndarray, level: float) -> tuple[float, float]:
    import numpy as np

    low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
