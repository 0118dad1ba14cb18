"""`SemanticCC`, a loaded model: a pair -> `ChangeDescription`, a scene -> `SceneReport`. Every front end uses it."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from semantic_cc.compute_device import enough_memory
from semantic_cc.descriptions import to_descriptions
from semantic_cc.errors import DeviceMemoryError, InputError
from semantic_cc.images import ImageSource, read_pair
from semantic_cc.sentences import check_instruction
from semantic_cc.types import ChangeDescription, ChangeMaps, ModelIdentity

if TYPE_CHECKING:
    from semantic_cc.checkpoint.device_map import DeviceMap
    from semantic_cc.checkpoint.model_info import ModelInfo
    from semantic_cc.foundation.llm import LLMType
    from semantic_cc.model.base import ChangeModel
    from semantic_cc.progress import Advance
    from semantic_cc.runtime.interface import Runtime, RuntimeName
    from semantic_cc.scene.scene_options import SceneOptions
    from semantic_cc.scene.scene_report import SceneReport


class SemanticCC:
    """A loaded model that describes pairs and scenes. Load it once and call it often.

    Example:
        description = SemanticCC.from_pretrained("small").describe("before.png", "after.png")
        print(description.sentence, description.changed_share)
    """

    def __init__(
        self, runtime: Runtime, info: ModelInfo, load_model: Callable[[], ChangeModel], note: str = ""
    ) -> None:
        self.runtime = runtime
        self.info = info
        self.note = note
        """One line that says which runtime auto chose, and why; empty if the runtime was named."""
        self._load_model = load_model

    @classmethod
    def from_pretrained(
        cls,
        name_or_dir: str | Path = "small",
        device: str | None = None,
        *,
        runtime: RuntimeName = "auto",
        merge: bool = True,
        allow_foundation_mismatch: bool = False,
        llm_dtype: LLMType | None = None,
        llm_device_map: DeviceMap | None = None,
        compiled: bool = False,
        progress: Advance | None = None,
    ) -> SemanticCC:
        """Loads a model.

        Args:
            name_or_dir: name of a packaged model, a folder with config.json and model.safetensors, or a Hub id.
            device: for example cpu or cuda:1; the default is cuda if there is a GPU, else cpu.
            runtime: torch is the reference; openvino is faster on a CPU (extra `openvino`); auto is openvino if it can
                run the model, else torch. The first use of openvino exports the model, which takes about a minute.
            merge: whether to fold the adapters into the base weights; False keeps them separate for `save_pretrained`.
            allow_foundation_mismatch: whether to accept different foundation weights, with a note in descriptions.
            llm_dtype: type of the language model's weights; int8 and int4 need the extra `quantised` (bitsandbytes).
            llm_device_map: spreads the LLM over GPUs, CPU, disk: "auto" or a map of accelerate; needs `merge`.
            compiled: whether to compile greedy search on a GPU, once per batch size; pays off in long runs.
            progress: called with (step, done, total) while the model is exported.

        Raises:
            CheckpointError, FoundationWeightsError: the model or its foundation weights are missing or invalid.
            InputError: no such device, no bitsandbytes, or an option that does not fit the model or device.
            SemanticCCError: openvino was requested and failed.
        """
        from semantic_cc.runtime.load import LoadOptions, load_runtime

        options = LoadOptions(merge, allow_foundation_mismatch, llm_dtype, llm_device_map, compiled)
        loaded = load_runtime(name_or_dir, device, runtime, options, progress)
        return cls(loaded.runtime, loaded.info, loaded.load_model, loaded.note)

    @functools.cached_property
    def model(self) -> ChangeModel:
        """The torch model; with openvino, it loads on first use."""
        return self._load_model()

    @property
    def device(self) -> str:
        """Type of the device that runs the model, for example cpu or cuda."""
        return self.runtime.device

    @property
    def place_batch(self) -> int:
        """Default number of places of a scene that are described at once."""
        return self.runtime.place_batch

    def pair_batch(self, height: int, width: int) -> int:
        """Number of plain pairs of this size that `batch` describes at once; see `Runtime.pair_batch`."""
        return self.runtime.pair_batch(height, width)

    def save_pretrained(
        self,
        folder: str | Path,
        *,
        name: str | None = None,
        merge: bool = False,
        dtype: Literal["float32", "bfloat16"] = "float32",
    ) -> Path:
        """Saves the model and its card: the trained parameters, or all parameters with `merge`.

        Args:
            folder: output folder; a model in it is replaced.
            name: name of the saved model; None = the current name.
            merge: whether to fold the adapters into the base weights (in this object too) and save these as well.
            dtype: type of the stored weights; a merged language model keeps its own type.

        Raises:
            InputError: the adapters are already merged, and `merge` is False.
            OutputError: the folder cannot be written, or holds something other than a model.
        """
        import torch

        from semantic_cc.checkpoint.serialization import save_pretrained
        from semantic_cc.checkpoint.stored_parameters import is_adapted

        adapted = any("lora_" in key for key in self.model.state_dict())
        if not merge and is_adapted(self.model.config) and not adapted:
            raise InputError("the adapters are merged: load with merge=False, or save with merge=True")
        return save_pretrained(
            self.model, folder,
            name=name or self.info.name, training=self.info.training, dtype=getattr(torch, dtype), merge=merge,
        )  # fmt: skip

    def push_to_hub(
        self,
        repository: str,
        *,
        private: bool = False,
        merge: bool = False,
        dtype: Literal["float32", "bfloat16"] = "float32",
    ) -> str:
        """Publishes the model and its card on the Hugging Face Hub.

        Args:
            repository: owner/name; created if needed.
            private: whether a new repository is private.
            merge, dtype: as in `save_pretrained`.

        Returns:
            The URL of the model.

        Raises:
            InputError: as in `save_pretrained`, or `repository` is not of the form owner/name.
            SemanticCCError: the Hub refuses the upload or cannot be reached.
        """
        import tempfile

        from semantic_cc.checkpoint.hub import is_hub_id, upload_model

        if not is_hub_id(repository):
            raise InputError(f"{repository!r} is not a repository on the hub; give owner/name")
        with tempfile.TemporaryDirectory() as work:
            folder = self.save_pretrained(Path(work) / "model", name=repository, merge=merge, dtype=dtype)
            return upload_model(folder, repository, private)

    def describe(
        self, before: ImageSource, after: ImageSource, instruction: str | None = None
    ) -> ChangeDescription:
        """Describes what changed between two images of the same place, and where.

        Args:
            before, after: earlier and later image of equal size: paths, PIL images or ``(H, W, 3)`` uint8 RGB.
            instruction: a single prompt instead of the model's own instructions.

        Raises:
            ImageError: an image cannot be used, its file holds only one colour, or the sizes differ.
            InputError: the instruction is empty.
            DeviceMemoryError: there is not enough memory for images of this size.
        """
        asked = _asked(instruction)
        start = time.perf_counter()
        earlier, later, notes = read_pair(before, after, check=True)
        read = time.perf_counter() - start
        (description,) = self._describe(earlier[None], later[None], asked, notes)
        timings = {"read": read, **description.timings, "total": time.perf_counter() - start}
        return replace(description, timings=timings)

    def describe_batch(
        self, before: np.ndarray, after: np.ndarray, instruction: str | None = None
    ) -> list[ChangeDescription]:
        """Describes n pairs of equal size at once; if there is not enough memory, in halves.

        With torch, rounding depends on n, so a sentence can differ from that of `describe`.

        Args:
            before, after: earlier and later images, ``(n, H, W, 3)`` uint8 RGB.
            instruction: as in `describe`.

        Returns:
            n descriptions; their timings are those of all pairs that were described at once.

        Raises:
            InputError, DeviceMemoryError: the instruction is empty; there is not enough memory for one pair.
        """
        try:
            return self._describe(before, after, _asked(instruction), ())
        except DeviceMemoryError:
            if len(before) == 1:
                raise
        middle = len(before) // 2  # here, because the error holds the memory of the failed batch
        first = self.describe_batch(before[:middle], after[:middle], instruction)
        return first + self.describe_batch(before[middle:], after[middle:], instruction)

    def describe_scene(
        self,
        before: str | Path,
        after: str | Path,
        *,
        out: str | Path | None = None,
        options: SceneOptions | None = None,
        instruction: str | None = None,
        dates: tuple[str, str] | None = None,
        progress: Advance | None = None,
    ) -> SceneReport:
        """Describes a scene: two georeferenced images of any size, which may differ in grid, bands and bit depth.

        With `out`, writes mask.tif, probability.tif, the change polygons in `options.formats`, report.json
        (`SceneReport.to_json`), report.html and scene.json (a STAC item): all of them or none. If a run is killed, the
        same call continues where it stopped.

        Args:
            before, after: earlier and later image: paths, or URLs that GDAL can read.
            out: output folder, created if needed; None = no files.
            options: how the images are read and what is written; see `SceneOptions`.
            instruction: as in `describe`.
            dates: when the images were taken, in ISO 8601.
            progress: called with ("windows" or "places", done, total).

        Returns:
            The report. Areas are in square metres on the ellipsoid, None if the images have no location on Earth.

        Raises:
            ImageError, InputError: an image or an option cannot be used, or the model predicts no masks.
            OutputError: `out` cannot be written, or an output would overwrite an input.
            DeviceMemoryError: there is not enough memory for the batch.

        Example:
            report = model.describe_scene("before.tif", "after.tif", out="changes")
            print(report.sentence, report.figures.changed_area_m2)
        """
        from semantic_cc.scene.geo_detection import need_libraries

        need_libraries()
        from semantic_cc.scene.describe_scene import describe_scene

        return describe_scene(
            self, before, after,
            out=out, options=options, instruction=instruction, dates=dates, progress=progress,
        )  # fmt: skip

    def predict_masks(self, before: np.ndarray, after: np.ndarray) -> ChangeMaps:
        """Predicts the masks of n pairs of equal size; only encoder, neck and change decoder run.

        Args:
            before, after: earlier and later images, ``(n, H, W, 3)`` uint8 RGB.

        Raises:
            InputError: the model has no change-detection task.
            DeviceMemoryError: there is not enough memory for n images of this size.
        """
        with enough_memory(before.shape):
            found = self.runtime.predict_class_probabilities(*_contiguous(before, after))
        if found is None:
            raise self._no_masks()
        return ChangeMaps(found)

    @property
    def num_classes(self) -> int:
        """Number of classes of a pixel: 2 (none, building) or 3 (none, road, building).

        Raises:
            InputError: the model has no change-detection task.
        """
        config = self.runtime.config
        if not config.change_task:
            raise self._no_masks()
        return max(2, config.change_decoder.classes)

    def _no_masks(self) -> InputError:
        return InputError(f"the model {self.info.name} has no change-detection task; use another model")

    def _describe(
        self, before: np.ndarray, after: np.ndarray, asked: list[str] | None, notes: tuple[str, ...]
    ) -> list[ChangeDescription]:
        """(n, H, W, 3) uint8, twice -> n descriptions."""
        start = time.perf_counter()
        with enough_memory(before.shape):
            prediction = self.runtime.predict(*_contiguous(before, after), asked)
        model = ModelIdentity(self.info.name, self.info.digest)
        found = to_descriptions(prediction, model, notes + self.info.notes)
        timings = {**prediction.timings, "total": time.perf_counter() - start}
        return [replace(description, timings=timings) for description in found]


def _contiguous(before: np.ndarray, after: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return np.ascontiguousarray(before), np.ascontiguousarray(after)


def _asked(instruction: str | None) -> list[str] | None:
    check_instruction(instruction)
    return None if instruction is None else [instruction]
