"""Two runtimes of one model on the pairs of a dataset, compared; the small form of what `bench --equal` does."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from torch.utils.data import Subset

from semantic_cc import SemanticCC
from semantic_cc.bench.equality import MIN_SENTENCES, EqualityReport, compare_runtimes, compare_with_reference
from semantic_cc.data.open_dataset import open_dataset
from semantic_cc.errors import InputError
from semantic_cc.runtime.interface import PairMasks, PairPredictions, Runtime


def compare(one: Runtime, other: Runtime, folder: Path, pairs: int) -> EqualityReport:
    data = open_dataset(folder, "train")
    return compare_runtimes(one, other, data, Subset(data, range(pairs)), batch=4)


def value(report: EqualityReport, name: str) -> float:
    (found,) = (criterion.value for criterion in report.criteria if name in criterion.name)
    assert found is not None
    return found


class Changed(Runtime):
    """The predictions of another runtime, changed by a function."""

    def __init__(self, runtime: Runtime, change: Callable[[PairPredictions], PairPredictions]) -> None:
        self.name, self.config, self.device, self.place_batch = "changed", runtime.config, "cpu", 1
        self._runtime, self._change = runtime, change

    def predict(
        self, before: np.ndarray, after: np.ndarray, instructions: Sequence[str] | None = None
    ) -> PairPredictions:
        return self._change(self._runtime.predict(before, after, instructions))

    def predict_masks(self, before: np.ndarray, after: np.ndarray) -> PairMasks:
        return self._runtime.predict_masks(before, after)


def test_a_runtime_is_equal_to_itself(reference: SemanticCC, world_folder: Path) -> None:
    report = compare(reference.runtime, reference.runtime, world_folder, 4)
    assert report.is_equal and report.pairs == 4
    assert [criterion.value for criterion in report.criteria] == [1, 1, 1, 1, 0, 0]
    assert report.sentences == {}


def test_the_fast_runtime_on_synthetic_pairs(
    fast: SemanticCC, reference: SemanticCC, world_folder: Path, in_cache: Path
) -> None:
    """Sixteen pairs: all in all, masks and flags are equal. On random weights, sentences need not be."""
    report = compare(reference.runtime, fast.runtime, world_folder, 16)
    kept = {criterion.name: criterion.holds for criterion in report.criteria}
    assert kept["IoU of the masks, all pixels"] and kept["equal flags"]
    assert value(report, "lowest IoU") > 0.8
    assert value(report, "equal sentences") > 0.6


def test_differences_are_found(reference: SemanticCC, world_folder: Path) -> None:
    def spoil(found: PairPredictions) -> PairPredictions:
        assert found.class_probabilities is not None
        rolled = np.roll(found.class_probabilities, 9, axis=3)
        sentences = ["another sentence", *found.sentence[1:]]
        changed = [*found.changed[:-1], not found.changed[-1]]
        return replace(found, class_probabilities=rolled, sentence=sentences, changed=changed)

    report = compare(reference.runtime, Changed(reference.runtime, spoil), world_folder, 4)
    assert not report.is_equal
    assert value(report, "equal sentences") == 0.75 < MIN_SENTENCES
    assert value(report, "equal flags") == 0.75
    assert value(report, "all pixels") < 0.98
    assert value(report, "lowest IoU") < 0.98 and report.worst_pair is not None
    ((_, found),) = report.sentences.values()
    assert found == "another sentence"
    assert report.to_json()["is_equal"] is False


def test_the_device_that_is_not_a_cpu_is_named(reference: SemanticCC, world_folder: Path) -> None:
    on_gpu = Changed(reference.runtime, lambda found: found)
    on_gpu.device = "cuda"
    assert compare(reference.runtime, on_gpu, world_folder, 2).runtime == "changed on cuda"


def test_torch_is_not_compared_with_itself(shaken_folder: Path, world_folder: Path) -> None:
    with pytest.raises(InputError, match="nothing to compare torch with"):
        compare_with_reference(shaken_folder, world_folder, runtime="torch")


def test_the_command(
    cli: Callable, fast: SemanticCC, shaken_folder: Path, world_folder: Path, in_cache: Path
) -> None:
    outcome = cli(
        "bench", "--model", shaken_folder, "--runtime", "openvino", "--equal", world_folder, "--limit", "2"
    )
    assert "2 pairs" in outcome.stdout and "equal sentences" in outcome.stdout
    assert (outcome.code == 1) == ("openvino is not equal to torch" in outcome.stderr)
    refused = cli("bench", "--equal", world_folder, "--plot", "x.png")
    assert refused.code == 2 and "--equal takes no --plot" in refused.stderr


@pytest.mark.slow
def test_the_packaged_model_on_synthetic_pairs(world_folder: Path) -> None:
    from engines import need_engine

    need_engine()
    report = compare_with_reference("small", world_folder, "train", runtime="openvino")
    assert report.pairs == 16
    assert [criterion.name for criterion in report.criteria if not criterion.holds] == []
