"""Every compared captioning method learns eight pairs by heart, and trains and is scored by the commands."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from semantic_cc.baselines.vocabulary import vocabulary_of
from semantic_cc.checkpoint.build import build_model
from semantic_cc.config import load_config
from semantic_cc.config.model import CAPTIONING_METHODS
from semantic_cc.data.collate import Batch, collate
from semantic_cc.data.open_dataset import open_dataset
from semantic_cc.losses import caption_loss, flag_loss
from semantic_cc.model.base import ChangeModel
from semantic_cc.model.generation import teach_sentences
from semantic_cc.training import stages

SIDE = 64


def eight(folder: Path) -> Batch:
    """Eight pairs with their shortest sentence, four of them changed, at 64x64."""

    def small(image: np.ndarray) -> np.ndarray:
        return np.asarray(Image.fromarray(image).resize((SIDE, SIDE)))

    pairs = [open_dataset(folder, "train")[i] for i in range(8)]
    return collate(
        [
            replace(
                pair,
                before=small(pair.before),
                after=small(pair.after),
                label=None,
                sentences=(min(pair.sentences, key=len),),
            )
            for pair in pairs
        ]
    )


def minimise(loss_of: Callable[[], torch.Tensor], weights: list, rate: float, steps: int) -> None:
    optimizer = torch.optim.AdamW(weights, lr=rate)
    schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.1, steps)
    for _ in range(steps):
        optimizer.zero_grad()
        loss_of().backward()
        torch.nn.utils.clip_grad_norm_(weights, 1.0)
        optimizer.step()
        schedule.step()


def teach_to_speak(model: ChangeModel, batch: Batch) -> None:
    """Stands for a language model's pretraining: it learns to say these sentences after prompts of its own."""
    llm, prompts = model.llm.requires_grad_(True), [torch.randn(6, 64) for _ in batch.names]

    def loss() -> torch.Tensor:
        noisy = [prompt + 0.3 * torch.randn_like(prompt) for prompt in prompts]
        return caption_loss(*teach_sentences(llm, model.caption_decoder.prompter, noisy, batch.sentences))

    minimise(loss, list(llm.parameters()), 1e-2, 150)
    llm.requires_grad_(False)


@pytest.mark.usefixtures("one_calm_thread")
@pytest.mark.parametrize(
    ("method", "rate", "steps"),
    [
        ("rsiccformer", 2e-3, 60),
        ("psnet", 2e-3, 60),
        ("chg2cap", 2e-3, 100),
        pytest.param("promptcc", 4e-3, 240, marks=pytest.mark.slow),
    ],
)
def test_eight_pairs_are_learned_by_heart(method: str, rate: float, steps: int, world_folder: Path) -> None:
    batch = eight(world_folder)
    words = vocabulary_of([text for own in batch.sentences for text in own], min_count=1)
    sizes = {"vocabulary": words, "dropout": 0.0}
    values = {"baseline": sizes, "llm": {"random_width": 64, "max_new_tokens": 90}}
    model = build_model(load_config(f"tiny+{method}", {"model": values}).model)
    if method == "promptcc":
        teach_to_speak(model, batch)
    (stage,) = stages.stages_of(["change", "caption", "joint"], model.config)
    stages.apply(stage, model)

    def loss() -> torch.Tensor:
        output = model(batch.before, batch.after, sentences=batch.sentences, instructions=[""] * 8)
        told = caption_loss(output.caption_logits, output.caption_targets)
        return told if output.flag_logits is None else told + flag_loss(output.flag_logits, batch.changed)

    minimise(loss, [weight for weight in model.parameters() if weight.requires_grad], rate, steps)
    found = model.eval().predict(batch.before, batch.after)
    assert [[text] for text in found.sentence] == [list(own) for own in batch.sentences]
    assert found.changed == batch.changed.bool().tolist()
    assert len(set(found.changed)) == 2


SHORT = (
    "--phases.multitask.stages.caption.items", 4, "--phases.encoder", "null", "--model.baseline.beam", 2,
    "--train.val_items", 2,
)  # fmt: skip


@pytest.mark.parametrize(
    "method",
    [m if m == "chg2cap" else pytest.param(m, marks=pytest.mark.slow) for m in CAPTIONING_METHODS],
)
def test_train_resume_evaluate_describe(
    method: str, cli: Callable, world_folder: Path, image_paths: tuple[Path, Path], tmp_path: Path
) -> None:
    run, scores = tmp_path / "run", tmp_path / "scores.json"
    train = ("train", "--config", f"tiny+{method}", "--data", world_folder, "--out", run, *SHORT)
    assert cli(*train).code == 0
    resumed = cli(*train, "--resume", "auto")
    assert (resumed.code, resumed.stderr) == (0, "phase multitask: finished already\n")
    model = run / "model"
    scored = cli("evaluate", "--model", model, "--data", world_folder, "--out", scores, "--no-meteor")
    assert scored.code == 0
    report = json.loads(scores.read_text())
    assert report["change"] is None and report["captions"]["all"]["count"] == 2
    assert report["decoding"] == ("greedy" if method == "promptcc" else "beam-2")
    content = json.loads((model / "config.json").read_text())
    assert content["model"]["method"] == method
    known = content["model"]["baseline"]["vocabulary"]
    said = [text for item in open_dataset(world_folder, "train").items for text in item.sentences]
    assert tuple(known) == (() if method == "promptcc" else vocabulary_of(said, min_count=1))
    described = cli("describe", *image_paths, "--model", model, "--json")
    assert (described.code, described.stderr) == (0, "")
    assert json.loads(described.stdout)["changed_share"] is None
    refused = cli("describe", *image_paths, "--model", model, "--instruction", "What changed?")
    assert refused.code == 2 and f"{method} does not read an instruction" in refused.stderr
    planned = cli(*train[: -len(SHORT)], "--plan", "a100-80gb")
    assert planned.code == 0 and "neck" in planned.stdout


def test_words_must_occur_often_enough(cli: Callable, world_folder: Path, tmp_path: Path) -> None:
    rare = ("--model.baseline.min_count", 10**6)
    outcome = cli("train", "--config", "tiny+psnet", "--data", world_folder, "--out", tmp_path / "run", *rare)
    assert outcome.code == 2 and "lower model.baseline.min_count" in outcome.stderr
    assert not (tmp_path / "run").exists()


def test_the_q_former_phase_needs_a_q_former(cli: Callable, world_folder: Path, tmp_path: Path) -> None:
    call = ("train", "--config", "tiny+psnet", "--data", world_folder, "--out", tmp_path / "out")
    outcome = cli(*call, "--phase", "qformer")
    assert (
        outcome.code == 2 and "phase qformer is left out: there is no Q-Former that trains" in outcome.stderr
    )
