"""Cache of the frozen encoder's features."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from safetensors.torch import load_file, save
from torch import Tensor

from semantic_cc.data.collate import Batch
from semantic_cc.files import write_files
from semantic_cc.training.sampling import DrawnSample

if TYPE_CHECKING:
    from semantic_cc.model.base import ChangeModel
    from semantic_cc.model.encoder import Features


class FeatureCache:
    """Encoder features per item, in CPU memory or in files that several runs share.

    Items are encoded one at a time. Otherwise the features would depend on the batch composition, and a resumed run
    would differ in the last digits.

    Args:
        model: model with its encoder in eval mode and frozen while the cache is in use.
        folder: folder of the files; None = memory. The encoder must not train in the whole phase. The files of
            an encoder lie in a subfolder named by its weights, one per pair, named by its pixels.
    """

    def __init__(self, model: ChangeModel, folder: Path | None = None) -> None:
        self.model = model
        self._folder = None if folder is None else folder / _encoder_digest(model)
        self._known: dict[int, tuple[Tensor, ...] | Path] = {}

    def clear(self) -> None:
        """Empties the memory; call it after training the encoder."""
        self._known.clear()

    def features(self, samples: list[DrawnSample], batch: Batch) -> Features:
        """The features of a batch, on its device.

        Args:
            samples: b items, without augmentation.
            batch: the items as tensors.
        """
        from semantic_cc.model.encoder import Features

        for place, sample in enumerate(samples):
            if sample.visit.index not in self._known:
                self._known[sample.visit.index] = self._added(batch, place)
        rows = zip(*(_read(self._known[sample.visit.index]) for sample in samples), strict=True)
        # rows (2, ...) -> (2b, ...), before first
        tiers = [torch.stack(row, dim=1).flatten(0, 1).to(batch.before.device) for row in rows]
        return Features(tiers[0], tiers[1] if len(tiers) > 1 else None, tuple(tiers[2:]))

    def _added(self, batch: Batch, place: int) -> tuple[Tensor, ...] | Path:
        before, after = batch.before[place : place + 1], batch.after[place : place + 1]
        if self._folder is None:
            return self._encoded(before, after)
        pixels = torch.cat([before, after]).cpu()
        name = hashlib.sha256(pixels.numpy().tobytes() + str(tuple(pixels.shape)).encode()).hexdigest()
        path = self._folder / f"{name}.safetensors"
        if not path.exists():
            tiers = self._encoded(before, after)
            content = {str(number): tier.contiguous() for number, tier in enumerate(tiers)}
            write_files(self._folder, {path.name: save(content)})
        return path

    @torch.no_grad()
    def _encoded(self, before: Tensor, after: Tensor) -> tuple[Tensor, ...]:
        features = self.model.encode(before, after)
        trunk = features.trunk if _reads_trunk(self.model) else ()
        tiers = (features.caption, features.change, *trunk)  # what there is comes before what is None
        return tuple(tier.cpu() for tier in tiers if tier is not None)


def _read(known: tuple[Tensor, ...] | Path) -> tuple[Tensor, ...]:
    if isinstance(known, tuple):
        return known
    content = load_file(known)
    return tuple(content[str(number)] for number in range(len(content)))


def _reads_trunk(model: ChangeModel) -> bool:
    """Whether the method reads a hybrid encoder's convolutional features, which are most of the numbers."""
    return model.config.method == "semantic-cc"


def _encoder_digest(model: ChangeModel) -> str:
    """sha256 over everything that the features depend on besides the images."""
    digest = hashlib.sha256()
    for name, value in sorted(model.encoder.state_dict().items()):
        digest.update(f"{name} {tuple(value.shape)}".encode())
        digest.update(value.detach().float().cpu().contiguous().numpy().tobytes())
    digest.update(f"{model.config.change_task} {_reads_trunk(model)}".encode())
    return digest.hexdigest()[:16]
