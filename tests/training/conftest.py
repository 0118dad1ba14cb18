"""A dataset in memory, and models whose weights depend on their names alone."""

import json
import zlib
from dataclasses import replace

import numpy as np
import pytest
import torch
from phases import multitask
from PIL import Image

from semantic_cc.checkpoint.build import build_model
from semantic_cc.config import Config, HardwareConfig, load_config, merge
from semantic_cc.training import loop, stages
from semantic_cc.training.devices import fabric_of
from semantic_cc.training.optim import Updater
from semantic_cc.training.sampling import DeviceShare, schedules_of
from semantic_cc.training.staged_task import StagedTask, staged_steps, trained_parameters
from semantic_cc.training.state import PhaseFolder, open_run
from semantic_cc.training.step import Stepper
from semantic_cc.training.step_profile import Clock
from semantic_cc.training.task import PhaseRun
from semantic_cc.types import Pair

SIZE = 32


class MemoryPairs:
    """Six pairs of 32x32, every second one changed."""

    def __init__(self, count: int = 6, labels: bool = True) -> None:
        rng = np.random.default_rng(7)
        self.pairs = []
        for index in range(count):
            before = rng.integers(0, 256, (SIZE, SIZE, 3), dtype=np.uint8)
            after, label = before.copy(), np.zeros((SIZE, SIZE), np.uint8)
            changed = index % 2 == 1
            if changed:
                after[8:20, 4 : 8 + index], label[8:20, 4 : 8 + index] = 200, 255
                label[24:28] = 128
            said = ("a house is built", f"{index} houses appear") if changed else ("nothing has changed",)
            self.pairs.append(Pair(f"p{index}", before, after, label if labels else None, said, changed))

    @property
    def labelled(self) -> list[bool]:
        return [pair.label is not None for pair in self.pairs]

    @property
    def names(self) -> list[str]:
        return [pair.name for pair in self.pairs]

    @property
    def references(self) -> dict[str, tuple[str, ...]]:
        return {pair.name: pair.sentences for pair in self.pairs}

    def __getitem__(self, index: int) -> Pair:
        return self.pairs[index]

    def scene(self, index: int) -> None:
        return None

    def cache_images(self) -> None:
        pass


def weigh(model: torch.nn.Module) -> None:
    """Weights drawn by name, whatever the order of building; nothing stays at its zero start."""
    for name, parameter in model.named_parameters():
        rng = np.random.default_rng(zlib.crc32(name.encode()))
        noise = torch.from_numpy(rng.standard_normal(parameter.shape).astype(np.float32))
        is_gain = parameter.ndim == 1 and name.endswith("weight")
        fan_in = parameter[0].numel() if parameter.ndim > 1 else 100
        parameter.data = noise * fan_in**-0.5 + (1.0 if is_gain else 0.0)


@pytest.fixture(autouse=True)
def _one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def pairs() -> MemoryPairs:
    return MemoryPairs()


@pytest.fixture
def unlabelled() -> MemoryPairs:
    return MemoryPairs(labels=False)


@pytest.fixture
def tiny():
    """Overrides -> a configuration of the tiny preset."""

    def make(**overrides) -> Config:
        return load_config(merge({"preset": "tiny", **multitask()}, overrides))

    return make


@pytest.fixture
def build():
    """Model configuration -> a model weighed by name."""

    def make(config):
        model = build_model(config)
        weigh(model)
        return model

    return make


class Bench:
    """A model, its optimizer and plan: single steps without a run's folder."""

    def __init__(self, config: Config, model, pairs) -> None:
        self.config, self.model, self.pairs = config, model, pairs
        phase = config.phases["multitask"]
        self.plan = schedules_of(phase, config.model, pairs, config.train)
        self.parameters = trained_parameters(model, self.plan)
        # a schedule so long that its rate stays at the peak
        optim = replace(config.optim, warmup=0.0)
        scaled = config.train.precision == "float16"
        self.updater = Updater(self.parameters, optim, 10**9, scaled=scaled, decay=phase.ema)
        fabric = fabric_of(config.train.precision, HardwareConfig(accelerator="cpu"))
        self.stepper = Stepper(fabric, model, self.updater, config.train, phase.dice_weight, Clock())

    def run(self, schedule) -> list[dict[str, float]]:
        """One epoch of one stage at the peak learning rate; the losses of its steps."""
        stages.apply(schedule.stage, self.model)
        share = DeviceShare(pieces=self.config.train.accumulate)
        return [self.stepper.take(step) for step in staged_steps([schedule], self.pairs, 1, 0, 0, share)]


@pytest.fixture
def bench(build):
    def make(config, pairs) -> Bench:
        return Bench(config, build(config.model), pairs)

    return make


@pytest.fixture
def fit_phase():
    """Runs the phase multitask of a configuration on a built model, from its state where there is one."""

    def run(config: Config, model, pairs, resume: bool = False) -> PhaseFolder:
        folder = open_run(config, ["multitask"], resume).phase("multitask")
        fabric = fabric_of(config.train.precision, HardwareConfig(accelerator="cpu"))
        phase = PhaseRun("multitask", config, fabric, folder)
        loop.fit(phase, model, StagedTask(phase, model, pairs, workers=0))
        return folder

    return run


@pytest.fixture
def data(tmp_path, pairs):
    """The pairs in the LEVIR-MCI layout, the same in each split."""
    entries = []
    for split in ("train", "val", "test"):
        for pair in pairs.pairs:
            for folder, image in (("A", pair.before), ("B", pair.after), ("label", pair.label)):
                place = tmp_path / "data" / "images" / split / folder
                place.mkdir(parents=True, exist_ok=True)
                Image.fromarray(np.asarray(image)).save(place / f"{split}_{pair.name}.png")
            said = [{"raw": f"{sentence} ."} for sentence in pair.sentences]
            entries.append(
                {
                    "filename": f"{split}_{pair.name}.png",
                    "split": split,
                    "sentences": said,
                    "changeflag": int(pair.changed),
                }
            )
    (tmp_path / "data" / "LevirCCcaptions.json").write_text(json.dumps({"images": entries}))
    return tmp_path / "data"
