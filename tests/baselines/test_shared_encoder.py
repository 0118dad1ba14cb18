"""Change detectors with an encoder of their own, put on the one that all methods share."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from semantic_cc.baselines.change_networks import OnSharedEncoder
from semantic_cc.baselines.mask_model import MaskModel
from semantic_cc.checkpoint.build import build_model
from semantic_cc.checkpoint.serialization import load_pretrained, save_pretrained
from semantic_cc.config import ModelConfig, load_config
from semantic_cc.config.model import OWN_ENCODER
from semantic_cc.reproduce.paper_tables import TABLES
from semantic_cc.reproduce.scales import SCALES, configured
from semantic_cc.training import stages

Dates = Callable[..., tuple[Tensor, Tensor]]
STRIDES = (4, 8, 16, 32)


def config_of(method: str, **encoder: object) -> ModelConfig:
    # one channel would be lost in its norm
    scale = 0.25 if method == "fc-siam-diff" else 0.0625
    sizes = {"encoder": "shared", "scale": scale, "dropout": 0.0}
    return load_config(f"tiny+{method}", {"model": {"baseline": sizes, "encoder": encoder}}).model


def built(method: str, **encoder: object) -> MaskModel:
    model = build_model(config_of(method, **encoder), seed=5)
    assert isinstance(model, MaskModel) and isinstance(model.change_decoder, OnSharedEncoder)
    return model


@pytest.mark.parametrize("patch", [8, 16])
@pytest.mark.parametrize("method", OWN_ENCODER)
def test_its_levels_come_from_the_shared_tokens(
    method: str, patch: int, dates: Dates, outputs: Callable[..., list]
) -> None:
    model = built(method, patch=patch).eval()
    decoder = model.change_decoder
    names = {name.split(".")[0] for name, _ in decoder.network.named_parameters()}
    assert not names & {
        "down",
        "encoder",
        "features",
        "stem",
        "local",
        "long_range",
    }  # its own encoder is not there
    levels = outputs(decoder.levels, lambda: model(*dates(64, 128)))
    widths = decoder.network.widths
    assert levels == [(c, 64 // s, 128 // s) for c, s in zip(widths, STRIDES, strict=True)]


@pytest.mark.parametrize("size", [(48, 80), (37, 50), (1, 5)])
@pytest.mark.parametrize("method", OWN_ENCODER)
def test_images_of_any_size(method: str, size: tuple[int, int], dates: Dates) -> None:
    logits = built(method).eval()(*dates(*size)).change_logits
    assert logits.shape == (2, 3, *size) and torch.isfinite(logits).all()


@pytest.mark.parametrize("method", OWN_ENCODER)
def test_all_of_it_trains_and_it_starts_where_ours_does(
    method: str, dates: Dates, unreached: Callable, shake: Callable[[nn.Module], None]
) -> None:
    model = built(method)
    ours = build_model(load_config("tiny").model, seed=5).encoder.vision.state_dict()
    theirs = model.encoder.vision.state_dict()
    assert ours.keys() == theirs.keys() and all(torch.equal(ours[name], theirs[name]) for name in ours)
    stages.apply(stages.COMPARED_CHANGE, model)
    assert all(parameter.requires_grad for parameter in model.parameters())
    shake(model)
    assert unreached(model, model(*dates(64, 64)).change_logits) == []


@pytest.mark.parametrize("method", OWN_ENCODER)
def test_checkpoints_are_bit_equal(
    method: str, dates: Dates, tmp_path: Path, shake: Callable[[nn.Module], None]
) -> None:
    model = built(method).eval()
    shake(model)
    loaded, info = load_pretrained(save_pretrained(model, tmp_path / "saved", name="mine"))
    assert info.config == model.config
    pair = dates(40, 32)
    assert torch.equal(
        loaded.predict_masks(*pair).class_probabilities, model.predict_masks(*pair).class_probabilities
    )


@pytest.mark.parametrize("scale", SCALES)
def test_below_the_papers_scale_a_table_has_every_method_start_alike(scale: str) -> None:
    models = [configured(SCALES[scale], row, ("data",), 0, {}).model for row in TABLES["table5"].rows]
    assert all(model.has_sam for model in models) == (scale != "paper")
    assert sum(model.baseline.encoder == "shared" for model in models) == (
        0 if scale == "paper" else len(OWN_ENCODER)
    )
