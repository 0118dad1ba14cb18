"""Phase `calibration`: Platt scaling of the change flag on validation pairs.

The flag's logit z becomes a z + c, with a and c fitted on the validation pairs. Both are folded into the head's linear
layer, so the model gets no new parameters and the threshold stays 0.5.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import Subset

from semantic_cc.data.items import ChangeDataset
from semantic_cc.data.open_dataset import name_of, open_dataset
from semantic_cc.data.progress_callback import Progress
from semantic_cc.errors import DataError
from semantic_cc.evaluation.pair_results import predict_pairs
from semantic_cc.model.base import ChangeModel
from semantic_cc.runtime.torch_runtime import TorchRuntime
from semantic_cc.training.console_progress import Reporter
from semantic_cc.training.task import OpenedData, PhaseRun, Task


def open_calibration_phase(run: PhaseRun) -> OpenedData:
    """Opens the val split.

    Raises:
        DataError: no val split; a pair has no change flag, or all flags are equal.
    """
    pairs = open_dataset(run.val_data, "val")
    truth = [item.changed for item in pairs.items]
    if None in truth or len(set(truth)) < 2:
        raise DataError(
            f"{name_of(run.val_data)}: calibration needs a change flag on every val pair, and changed and unchanged "
            "pairs; add them, or leave out the phase"
        )
    return OpenedData(len(pairs), 0, lambda model: CalibrationTask(run, model, pairs))


class CalibrationTask(Task):
    """Fits scale and offset of the flag's logit, without training steps."""

    def __init__(self, run: PhaseRun, model: ChangeModel, pairs: ChangeDataset) -> None:
        self.run, self.model, self.pairs = run, model.to(run.fabric.device), pairs

    @torch.no_grad()
    def finish(self) -> Mapping[str, object]:
        """Folds the fit into the flag head; returns the fit and the number of pairs for config.json."""
        batch, started = self.run.phase.batch, time.perf_counter()
        with Reporter(self.run.name, -(-len(self.pairs) // batch), 0) as reporter:

            def progress(done: int, total: int) -> None:
                nonlocal started
                seconds, started = time.perf_counter() - started, time.perf_counter()
                reporter.step("flag", 1, 1, {}, seconds, batch)

            found = flag_probabilities(self.model.eval(), self.pairs, batch, progress)
        logits = torch.logit(found.double(), eps=1e-7)
        truth = torch.tensor([bool(item.changed) for item in self.pairs.items], dtype=torch.float64)
        with torch.enable_grad():
            scale, offset = platt_scaling(logits, truth, self.run.phase.balance)
        head = cast(nn.Linear, self.model.caption_decoder.flag)
        head.weight.mul_(scale)
        head.bias.mul_(scale).add_(offset)
        return {"scale": scale, "offset": offset, "pairs": len(self.pairs)}


def flag_probabilities(
    model: ChangeModel, pairs: ChangeDataset, batch: int = 8, progress: Progress | None = None
) -> Tensor:
    """Change probability of each pair from the flag head, (n,). `model` is in eval mode; its LLM does not run."""
    chosen = Subset(pairs, range(len(pairs)))
    runtime = TorchRuntime(model, next(model.parameters()).device)
    found = predict_pairs(runtime, chosen, batch=batch, progress=progress, sentences=False)
    return torch.tensor([result.probability for result in found])


def platt_scaling(logits: Tensor, truth: Tensor, balance: bool = False) -> tuple[float, float]:
    """The a and c of sigmoid(a z + c) that predict `truth` best (Platt, 1999).

    They minimise the cross-entropy, summed over the pairs, plus (a - 1)^2 + c^2. The penalty keeps few pairs from
    moving a calibrated head far, and lets the fit converge for separable classes. Platt's own remedy, targets of
    (n + 1) / (n + 2), keeps the probabilities of a class with few pairs from 0 and 1 for good.

    Args:
        logits: z, (n,) float64. truth: (n,) float64 of 0 and 1, both present.
        balance: whether both classes weigh alike.
    """
    share = truth.mean()
    weight = torch.where(truth > 0.5, 0.5 / share, 0.5 / (1 - share)) if balance else None
    scale = torch.tensor([1.0, 0.0], dtype=torch.float64, requires_grad=True)  # a and c
    fit = torch.optim.LBFGS([scale], max_iter=200, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        fit.zero_grad()
        loss = F.binary_cross_entropy_with_logits(
            scale[0] * logits + scale[1], truth, weight, reduction="sum"
        )
        loss = loss + (scale[0] - 1) ** 2 + scale[1] ** 2
        loss.backward()
        return loss

    fit.step(closure)
    a, c = scale.detach().tolist()
    return a, c
