"""One pair of images -> one `ChangeDescription`; the command line and everything above it call this."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from semantic_cc.decisions import class_mask
from semantic_cc.errors import InputError, SemanticCCError
from semantic_cc.images import ImageSource, read_pair
from semantic_cc.types import BUILDING, ROAD, ChangeDescription, ChangeMaps

if TYPE_CHECKING:
    import torch

    from semantic_cc.checkpoint.device_map import DeviceMap
    from semantic_cc.checkpoint.serialization import ModelInfo
    from semantic_cc.foundation.llm import LLMType
    from semantic_cc.model.base import ChangeModel, Prediction


class SemanticCC:
    """A loaded model that describes pairs; load once, call often.

    Example:
        model = SemanticCC.from_pretrained("small")
        description = model.describe("before.png", "after.png")
        print(description.sentence, description.changed_share)
    """

    def __init__(
        self,
        model: ChangeModel,
        info: ModelInfo,
        device: torch.device,
        llm_device_map: DeviceMap | None = None,
    ) -> None:
        if llm_device_map is None:
            model.to(device)
        else:
            from semantic_cc.checkpoint.device_map import spread_llm

            spread_llm(model, device, llm_device_map)
        self.model = model.eval()
        self.info = info
        self.device = device

    @classmethod
    def from_pretrained(
        cls,
        name_or_dir: str | Path = "small",
        device: str | None = None,
        *,
        merge: bool = True,
        allow_foundation_mismatch: bool = False,
        llm_dtype: LLMType | None = None,
        llm_device_map: DeviceMap | None = None,
    ) -> SemanticCC:
        """Loads a model.

        Args:
            name_or_dir: a shipped model's name, a folder with config.json and model.safetensors, or a hub id.
            device: for example cpu or cuda:1; by default cuda where there is one, else cpu.
            merge: fold the adapters into the base weights, which is faster; False keeps them apart for
                `save_pretrained`.
            allow_foundation_mismatch: go on with other foundation weights than the accepted, with a note in
                every description.
            llm_dtype: type of the language model's weights, instead of its own; int8 and int4 need the extra
                `quantised` (bitsandbytes).
            llm_device_map: spreads the language model over GPUs, CPU and disk: "auto", or its modules -> devices in
                accelerate's form; None = it is where all else is. Its adapters must be merged.

        Raises:
            CheckpointError: unknown name, missing or damaged folder, foundation weights that are not the accepted.
            FoundationWeightsError: the language model is nowhere to be found.
            InputError: this machine has no such device, or lacks bitsandbytes; a device map that does not fit.
        """
        from semantic_cc.checkpoint.serialization import load_pretrained

        chosen = _device(device)  # before the slow part
        model, info = load_pretrained(
            name_or_dir,
            merge=merge,
            allow_foundation_mismatch=allow_foundation_mismatch,
            llm_dtype=llm_dtype,
        )
        return cls(model, info, chosen, llm_device_map)

    def save_pretrained(
        self,
        folder: str | Path,
        *,
        name: str | None = None,
        merge: bool = False,
        dtype: Literal["float32", "bfloat16"] = "float32",
    ) -> Path:
        """Writes the model, with its card: what was trained alone, or with `merge` everything.

        Args:
            folder: where to; a model that is there is replaced.
            name: its name; by default the one it has.
            merge: fold the adapters into the base weights (of this object too) and write those, so that no
                foundation weights are needed.
            dtype: type of the stored weights, but for a merged language model's, which keeps its own.

        Raises:
            InputError: the adapters are merged already, and `merge` is off.
            OutputError: the place cannot be written, or holds something else than a model.
        """
        import torch

        from semantic_cc.checkpoint.serialization import save_pretrained
        from semantic_cc.checkpoint.stored_parameters import is_adapted

        adapted = any("lora_" in key for key in self.model.state_dict())
        if not merge and is_adapted(self.model.config) and not adapted:
            raise InputError(
                "the adapters are merged into the base weights: load the model with merge=False, or save all of it "
                "with merge=True"
            )
        return save_pretrained(
            self.model,
            folder,
            name=name or self.info.name,
            training=self.info.training,
            dtype=getattr(torch, dtype),
            merge=merge,
        )

    def push_to_hub(
        self,
        repository: str,
        *,
        private: bool = False,
        merge: bool = False,
        dtype: Literal["float32", "bfloat16"] = "float32",
    ) -> str:
        """Publishes the model on the Hugging Face hub, with its card.

        Args:
            repository: owner/name; made if need be.
            private: whether a new repository is private.
            merge, dtype: as `save_pretrained`'s.

        Returns:
            The model's address.

        Raises:
            InputError: as `save_pretrained`, or `repository` is no owner/name.
            SemanticCCError: the hub refuses or cannot be reached.
        """
        import tempfile

        from semantic_cc.checkpoint.hub import is_hub_id, upload_model

        if not is_hub_id(repository):
            raise InputError(f"{repository!r} is no place on the hub; give owner/name")
        with tempfile.TemporaryDirectory() as work:
            folder = self.save_pretrained(Path(work) / "model", name=repository, merge=merge, dtype=dtype)
            return upload_model(folder, repository, private)

    def describe(
        self, before: ImageSource, after: ImageSource, instruction: str | None = None
    ) -> ChangeDescription:
        """Says what changed between two images of one place, and where.

        Args:
            before, after: earlier and later image of one size: paths, PIL images or ``(H, W, 3)`` uint8 RGB.
            instruction: the one text to ask instead of the model's own instructions; no consensus then.

        Raises:
            ImageError: an image cannot be used, or the sizes differ.
            InputError: the instruction is empty.
            SemanticCCError: the memory does not suffice for images of this size.
        """
        if instruction is not None and not instruction.strip():
            raise InputError("the instruction is empty; give a text, or leave it out for the model's own")
        start = time.perf_counter()
        earlier, later, notes = read_pair(before, after)
        notes += self.info.notes
        read = time.perf_counter() - start
        prediction = self._predict(earlier, later, None if instruction is None else [instruction])
        return _description(prediction, notes, self._model(), {"read": read}, start)

    def predict_masks(self, before: np.ndarray, after: np.ndarray) -> ChangeMaps:
        """Where a batch of pairs changed, without a sentence: the language model does not run.

        Args:
            before, after: earlier and later images, ``(n, H, W, 3)`` uint8 RGB.

        Raises:
            InputError: the model was made without the change-detection task.
            SemanticCCError: the memory does not suffice for so many images of this size.
        """
        with _enough_memory(
            f"{len(before)} windows of {before.shape[2]}x{before.shape[1]} pixels", "take fewer"
        ):
            found = self.model.predict_masks(self._tensor(before), self._tensor(after))
        if found.class_probabilities is None:
            raise self._no_masks()
        flag = found.change_probability
        return ChangeMaps(
            found.class_probabilities.float().cpu().numpy(),
            None if flag is None else flag.float().cpu().numpy(),
            found.heatmap.float().cpu().numpy(),
        )

    @property
    def planes(self) -> int:
        """Class probabilities of a pixel: 2, none and building, or 3, none, road and building.

        Raises:
            InputError: the model was made without the change-detection task.
        """
        if self.model.change_decoder is None:
            raise self._no_masks()
        return max(2, self.model.config.change_decoder.classes)

    def _no_masks(self) -> InputError:
        return InputError(
            f"the model {self.info.name} was made without the change-detection task; take another"
        )

    def _predict(self, earlier: np.ndarray, later: np.ndarray, instructions: list[str] | None) -> Prediction:
        height, width = earlier.shape[:2]
        with _enough_memory(f"{width}x{height} pixels", "cut the pair"):
            return self.model.predict(self._tensor(earlier[None]), self._tensor(later[None]), instructions)

    def _tensor(self, images: np.ndarray) -> torch.Tensor:
        """(n, H, W, 3) uint8 -> (n, 3, H, W) float32 in [0, 1]."""
        import torch

        pixels = torch.from_numpy(np.ascontiguousarray(images)).to(self.device)
        return pixels.permute(0, 3, 1, 2).float() / 255

    def _model(self) -> dict[str, Any]:
        return {"name": self.info.name, "digest": self.info.digest}


def _description(
    prediction: Prediction,
    notes: tuple[str, ...],
    model: dict[str, Any],
    timings: dict[str, float],
    start: float,
) -> ChangeDescription:
    """The first (and only) pair of a prediction, on the CPU."""
    planes = None
    if prediction.class_probabilities is not None:
        planes = prediction.class_probabilities[0].float().cpu().numpy()  # (2 or 3, H, W)
    flag = prediction.change_probability
    mask = None if planes is None else class_mask(planes)
    heatmap = prediction.heatmap[0].float().cpu().numpy()
    classes = {} if planes is None else {BUILDING: "building"}
    if planes is not None and len(planes) == 3:
        classes = {ROAD: "road", **classes}
    return ChangeDescription(
        sentence=prediction.sentence[0],
        sentences=prediction.sentences[0],
        changed=prediction.changed[0],
        change_probability=None if flag is None else float(flag[0]),
        mask=mask,
        probability=None if planes is None else np.clip(1 - planes[0], 0, 1),
        heatmap=heatmap,
        classes=classes,
        notes=notes,
        model=model,
        timings={**timings, **prediction.timings, "total": time.perf_counter() - start},
    )


def _device(name: str | None) -> torch.device:
    import torch

    if name is None:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:  # torch asserts that it was compiled with CUDA
        reason = " ".join(str(error).split("\n")[0].split())
        raise InputError(f"no device {name!r} on this machine ({reason}); try cpu") from error
    return device


@contextmanager
def _enough_memory(what: str, advice: str) -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:
        if not _is_out_of_memory(error):
            raise
        raise SemanticCCError(f"the memory does not suffice for {what}; {advice}") from error


def _is_out_of_memory(error: RuntimeError) -> bool:
    """CUDA has a type for it; the CPU's allocator says it in words alone."""
    return type(error).__name__ == "OutOfMemoryError" or "can't allocate memory" in str(error)
