"""Calibration of the change flag on validation pairs (Platt scaling): its odds then mean what they say.

The flag's logit z becomes a z + c, with a and c of the highest likelihood on the validation pairs; both are folded
into the head's linear layer, so nothing is added to the model and the threshold stays 0.5.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import Subset

from semantic_cc.checkpoint.serialization import load_pretrained, save_pretrained
from semantic_cc.data.items import ChangeDataset
from semantic_cc.data.open_dataset import Data, name_of, open_dataset
from semantic_cc.data.progress_callback import Progress
from semantic_cc.errors import ConfigError, DataError
from semantic_cc.evaluation.pair_results import predict_pairs
from semantic_cc.model.base import ChangeModel


def calibrate(
    model: str | Path, data: Data, out: Path, batch: int = 8, progress: Progress | None = None
) -> tuple[float, float]:
    """Writes `model` with its change flag calibrated on the val split of `data`.

    Args:
        model: a shipped name, or a folder that `save_pretrained` wrote.
        data: a dataset with change flags, or several.
        out: folder for the calibrated model.
        batch: pairs predicted at once.
        progress: told after each batch.

    Returns:
        a and c.

    Raises:
        ConfigError: the model has no flag head.
        DataError: a pair has no change flag, or all are alike.
        CheckpointError: no such model. OutputError: `out` cannot be written.
    """
    loaded, info = load_pretrained(model, merge=False)
    head = loaded.caption_decoder.flag
    if not isinstance(head, nn.Linear):
        raise ConfigError(f"{model}: the model has no flag head to calibrate")
    pairs = open_dataset(data, "val")
    truth = [item.changed for item in pairs.items]
    if None in truth or len(set(truth)) < 2:
        raise DataError(f"{data}: calibration needs changed and unchanged val pairs, each with its flag")
    shares = flag_probabilities(loaded, pairs, batch, progress)
    a, c = platt_scaling(torch.logit(shares.double(), eps=1e-7), torch.tensor(truth, dtype=torch.float64))
    with torch.no_grad():
        head.weight.mul_(a)
        head.bias.mul_(a).add_(c)
    facts = {"scale": a, "offset": c, "data": name_of(data), "pairs": len(pairs)}
    training = {**info.training, "flag_calibration": facts}
    save_pretrained(loaded, out, name=info.name, training=training, dtype=torch.float32)
    return a, c


def flag_probabilities(
    model: ChangeModel, pairs: ChangeDataset, batch: int = 8, progress: Progress | None = None
) -> Tensor:
    """What the flag head of `model`, in eval mode, says of each pair: (n,) in [0, 1]; the LLM does not run."""
    chosen = Subset(pairs, range(len(pairs)))
    found = predict_pairs(model, chosen, batch=batch, progress=progress, sentences=False)
    return torch.tensor([result.probability for result in found])


def platt_scaling(logits: Tensor, truth: Tensor) -> tuple[float, float]:
    """The a and c for which sigmoid(a z + c) makes `truth` likeliest (Platt, 1999).

    Args:
        logits: z, (n,) float64. truth: (n,) float64; not quite 0 and 1 in the fit, as Platt has it, so that it ends
            where the classes are apart too.
    """
    changed = truth.sum()
    target = torch.where(truth > 0.5, (changed + 1) / (changed + 2), 1 / (len(truth) - changed + 2))
    scale = torch.tensor([1.0, 0.0], dtype=torch.float64, requires_grad=True)  # a and c
    fit = torch.optim.LBFGS([scale], max_iter=200, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        fit.zero_grad()
        loss = F.binary_cross_entropy_with_logits(scale[0] * logits + scale[1], target)
        loss.backward()
        return loss

    fit.step(closure)
    a, c = scale.detach().tolist()
    return a, c
