"""One pair in, one `ChangeDescription` out."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from semantic_cc import SemanticCC
from semantic_cc.decisions import class_indices, class_mask
from semantic_cc.errors import CheckpointError, ImageError, InputError, SemanticCCError
from semantic_cc.model.base import Prediction
from semantic_cc.runtime.interface import PairPredictions
from semantic_cc.runtime.torch_runtime import TorchRuntime
from semantic_cc.types import BUILDING, NONE, ROAD, ChangeDescription

INFO = SimpleNamespace(name="fake", digest="d1", notes=())


class FakeModel(nn.Module):
    """Answers with given planes and remembers what it was given."""

    def __init__(self, planes: torch.Tensor | None = None, error: Exception | None = None) -> None:
        super().__init__()
        self.planes, self.error, self.config = planes, error, None
        self.calls: list[tuple] = []

    def predict(
        self, before: torch.Tensor, after: torch.Tensor, instructions: list[str] | None
    ) -> Prediction:
        self.calls.append((before, after, instructions))
        if self.error:
            raise self.error
        return Prediction(
            class_probabilities=None if self.planes is None else self.planes[None],
            change_probability=torch.tensor([0.25]),
            changed=[False],
            sentences=[{}],
            sentence=["nothing"],
            heatmap=torch.zeros(before.shape[0], *before.shape[-2:]),
            timings={"encode": 0.5},
        )


def predictor(model: FakeModel) -> SemanticCC:
    return SemanticCC(TorchRuntime(model, torch.device("cpu")), INFO, lambda: model)


@pytest.fixture(scope="module")
def tiny(tiny_folder: Path) -> SemanticCC:
    return SemanticCC.from_pretrained(str(tiny_folder), runtime="torch")


def test_paths_pil_images_and_arrays_give_the_same(
    tiny: SemanticCC, image_paths: tuple[Path, Path], images: tuple[np.ndarray, np.ndarray]
) -> None:
    answers = [
        tiny.describe(*image_paths),
        tiny.describe(*map(str, image_paths)),
        tiny.describe(*map(Image.open, image_paths)),
        tiny.describe(*images),
    ]
    first = answers[0]
    for other in answers[1:]:
        assert (other.sentence, other.sentences, other.changed) == (
            first.sentence,
            first.sentences,
            first.changed,
        )
        np.testing.assert_array_equal(other.mask, first.mask)
        np.testing.assert_array_equal(other.probability, first.probability)
        np.testing.assert_array_equal(other.heatmap, first.heatmap)


def test_shapes_types_and_ranges(tiny: SemanticCC, images: tuple[np.ndarray, np.ndarray]) -> None:
    answer = tiny.describe(*images)
    assert isinstance(answer, ChangeDescription)
    assert answer.mask.shape == answer.probability.shape == answer.heatmap.shape == (48, 80)
    assert answer.mask.dtype == np.uint8
    assert set(np.unique(answer.mask)) <= {NONE, ROAD, BUILDING}
    assert answer.probability.dtype == answer.heatmap.dtype == np.float32
    for values in (answer.probability, answer.heatmap):
        assert 0 <= values.min() <= values.max() <= 1
    assert 0 <= answer.change_probability <= 1
    assert answer.classes == {ROAD: "road", BUILDING: "building"}
    assert sum(answer.class_shares.values()) == pytest.approx(answer.changed_share)
    assert answer.model.name == "tiny"
    assert len(answer.model.digest) == 64
    steps = {step: seconds for step, seconds in answer.timings.items() if step != "total"}
    assert answer.timings["total"] >= sum(steps.values()) > 0


def test_the_model_gets_values_from_0_to_1_channels_first() -> None:
    model = FakeModel()
    before = np.full((16, 20, 3), 255, np.uint8)
    before[..., 1] = 51
    predictor(model).describe(before, np.zeros_like(before))
    first, second, instructions = model.calls[0]
    assert first.shape == (1, 3, 16, 20)
    torch.testing.assert_close(first[0, :, 0, 0], torch.tensor([1.0, 0.2, 1.0]))
    assert second.count_nonzero() == 0
    assert instructions is None


def test_an_instruction_is_the_only_one_asked() -> None:
    model = FakeModel()
    image = np.zeros((16, 16, 3), np.uint8)
    predictor(model).describe(image, image, instruction="what burnt down?")
    assert model.calls[0][2] == ["what burnt down?"]


@pytest.mark.parametrize("instruction", ["", "  \n"])
def test_an_empty_instruction_is_refused(instruction: str) -> None:
    image = np.zeros((16, 16, 3), np.uint8)
    with pytest.raises(InputError, match="instruction is empty"):
        predictor(FakeModel()).describe(image, image, instruction=instruction)


def test_a_model_without_the_change_task_gives_no_mask(
    captions_only_folder: Path, images: tuple[np.ndarray, np.ndarray]
) -> None:
    answer = SemanticCC.from_pretrained(str(captions_only_folder)).describe(*images)
    assert answer.mask is None
    assert answer.probability is None
    assert answer.changed_share is None
    assert answer.class_shares is None
    assert answer.classes == {}
    assert answer.heatmap.shape == (48, 80)


def test_a_binary_model_knows_buildings_alone() -> None:
    change = torch.full((16, 16), 0.49)
    change[:4] = 0.5
    answer = predictor(FakeModel(torch.stack([1 - change, change]))).describe(
        *[np.zeros((16, 16, 3), np.uint8)] * 2
    )
    assert answer.classes == {BUILDING: "building"}
    assert answer.class_shares == {"building": 0.25}
    np.testing.assert_allclose(answer.probability, change, atol=1e-6)


def test_class_mask_takes_the_most_probable_of_three() -> None:
    planes = np.array([[[0.5, 0.2, 0.1]], [[0.3, 0.5, 0.1]], [[0.2, 0.3, 0.8]]], np.float32)
    np.testing.assert_array_equal(class_mask(planes), np.array([[NONE, ROAD, BUILDING]], np.uint8))


@pytest.mark.parametrize("convert", [np.asarray, torch.from_numpy])
def test_class_indices_are_those_of_the_maxima(convert: Callable[[np.ndarray], Any]) -> None:
    planes = np.random.default_rng(0).integers(0, 4, (2, 3, 40, 40)) / np.float32(4)  # with ties
    found = class_indices(convert(planes))
    assert str(found.dtype).endswith("int64")
    np.testing.assert_array_equal(np.asarray(found), planes.argmax(-3))


def test_class_mask_of_two_planes_starts_at_one_half() -> None:
    change = np.array([[0.0, 0.49, 0.5, 1.0]], np.float32)
    expected = np.array([[NONE, NONE, BUILDING, BUILDING]], np.uint8)
    np.testing.assert_array_equal(class_mask(np.stack([1 - change, change])), expected)


def test_notes_say_what_was_converted(tiny: SemanticCC, images: tuple[np.ndarray, np.ndarray]) -> None:
    grey = [Image.fromarray(image).convert("L") for image in images]
    assert len(tiny.describe(*grey).notes) == 2
    assert tiny.describe(*images).notes == ()


def test_sizes_that_differ_are_refused() -> None:
    with pytest.raises(ImageError, match="sizes differ"):
        predictor(FakeModel()).describe(np.zeros((16, 16, 3), np.uint8), np.zeros((16, 32, 3), np.uint8))


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory."),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: ..."),
    ],
)
def test_too_little_memory_is_said_in_one_line(error: RuntimeError) -> None:
    with pytest.raises(SemanticCCError, match=r"not enough memory for 32x16 pixels") as caught:
        predictor(FakeModel(error=error)).describe(*[np.zeros((16, 32, 3), np.uint8)] * 2)
    assert not isinstance(caught.value, InputError)


def test_a_batch_that_the_memory_does_not_hold_is_described_in_halves(
    tiny: SemanticCC, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []
    predict = tiny.runtime.predict

    def with_room_for_two(before: np.ndarray, *others: Any) -> PairPredictions:
        sizes.append(len(before))
        if len(before) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return predict(before, *others)

    before, after = np.random.default_rng(0).integers(0, 256, (2, 5, 64, 64, 3), np.uint8)
    expected = [tiny.describe(*pair) for pair in zip(before, after, strict=True)]
    monkeypatch.setattr(tiny.runtime, "predict", with_room_for_two)
    found = tiny.describe_batch(before, after)
    assert sizes == [5, 2, 3, 1, 2]
    for one, alike in zip(found, expected, strict=True):
        np.testing.assert_allclose(one.heatmap, alike.heatmap, atol=1e-5)


def test_other_errors_of_the_model_pass() -> None:
    with pytest.raises(RuntimeError, match="a fault of ours"):
        predictor(FakeModel(error=RuntimeError("a fault of ours"))).describe(
            *[np.zeros((16, 32, 3), np.uint8)] * 2
        )


@pytest.mark.parametrize("device", ["abacus", "cuda:99"])
def test_a_device_that_is_not_there_is_refused(device: str, tiny_folder: Path) -> None:
    with pytest.raises(InputError, match=f"no device '{device}'"):
        SemanticCC.from_pretrained(str(tiny_folder), device=device)


def test_an_unknown_model_is_refused() -> None:
    with pytest.raises(CheckpointError, match="nowhere"):
        SemanticCC.from_pretrained("nowhere")


def test_predict_masks_gives_the_masks_of_describe_and_runs_no_caption_decoder(
    tiny: SemanticCC, images: tuple[np.ndarray, np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    described = [tiny.describe(*pair) for pair in (images, images[::-1])]
    (alone,) = tiny.predict_masks(images[0][None], images[1][None]).class_probabilities
    np.testing.assert_array_equal(1 - alone[0], described[0].probability)
    for name in ("generate", "visual_tokens", "flag_logits"):  # each would fail if it were called
        monkeypatch.setattr(tiny.model.caption_decoder, name, None)
    maps = tiny.predict_masks(*(np.stack(dates) for dates in (images, images[::-1])))
    assert maps.class_probabilities.shape == (2, tiny.num_classes, 48, 80)
    for n, one in enumerate(described):
        np.testing.assert_allclose(1 - maps.class_probabilities[n][0], one.probability, atol=1e-5)


def test_a_model_without_the_change_task_predicts_no_masks(
    captions_only_folder: Path, images: tuple[np.ndarray, np.ndarray]
) -> None:
    model = SemanticCC.from_pretrained(str(captions_only_folder))
    for ask in (lambda: model.num_classes, lambda: model.predict_masks(images[0][None], images[1][None])):
        with pytest.raises(InputError, match="has no change-detection task"):
            ask()


def test_a_file_of_one_colour_is_refused_and_one_file_given_twice_is_noted(
    tiny: SemanticCC, image_paths: tuple[Path, Path], tmp_path: Path
) -> None:
    assert any("the same file" in note for note in tiny.describe(image_paths[0], image_paths[0]).notes)
    Image.new("RGB", (80, 48)).save(tmp_path / "black.png")
    with pytest.raises(ImageError, match=r"black.png: has one value only \(0, 0, 0\)"):
        tiny.describe(image_paths[0], tmp_path / "black.png")


def test_a_batch_is_described_as_its_pairs_are(
    tiny: SemanticCC, images: tuple[np.ndarray, np.ndarray]
) -> None:
    both = images, images[::-1]
    batch = tiny.describe_batch(*(np.stack(dates) for dates in zip(*both, strict=True)))
    for one, pair in zip(batch, both, strict=True):
        alone = tiny.describe(*pair)
        np.testing.assert_allclose(one.probability, alone.probability, atol=1e-5)
        assert one.change_probability == pytest.approx(alone.change_probability, abs=1e-5)
        assert (one.changed, one.classes, one.model) == (alone.changed, alone.classes, alone.model)
    with pytest.raises(InputError, match="the instruction is empty"):
        tiny.describe_batch(images[0][None], images[1][None], instruction=" ")
