"""A step is the same in pieces, with layers run again, and as near as float16 can be."""

from pathlib import Path

import pytest
import torch
from phases import ALL, multitask

from semantic_cc.config import merge
from semantic_cc.training.feature_cache import FeatureCache
from semantic_cc.training.gradient_checkpointing import recompute_layers
from semantic_cc.training.optim import Updater

NO_DROPOUT = {"model": {"llm": {"lora": {"dropout": 0.0}}}}


def run_all(made):
    return [step for leg in made.plan for step in made.run(leg)]


def weights_of(made):
    return {name: parameter.detach().clone() for name, parameter in made.model.named_parameters()}


@pytest.mark.parametrize("flag_head", [True, False])
def test_a_step_in_pieces_is_the_same_step(flag_head, tiny, bench, pairs):
    weights = {"change_weight": 0.3, "flag_weight": 2.0}
    batches = multitask(stages={name: {"batch": 5} for name in ALL})
    # AdamW's first steps move a weight by the whole rate whatever its gradient's size, so they magnify rounding.
    given = merge(NO_DROPOUT | batches, {"model": {"flag_head": flag_head}, "optim": {"lr": 1e-4}})
    whole = bench(tiny(**merge(given, {"train": weights})), pairs)
    cut = bench(tiny(**merge(given, {"train": {**weights, "accumulate": 3}})), pairs)
    for one, other in zip(run_all(whole), run_all(cut), strict=True):
        assert one.keys() == other.keys()
        assert other == pytest.approx(one, rel=1e-5)
    for leg in cut.plan:
        assert [len(batch) for batch in leg.batches(0)] == [5, 1]


def test_layers_run_again_give_the_same_gradients_and_hold_less(tiny, bench, pairs):
    config = tiny(**multitask(stages={"caption": {"batch": 6}}))  # with dropout
    results, held = [], []
    for recompute in (False, True):
        made = bench(config, pairs)
        if recompute:
            recompute_layers(made.model)
        saved: list[int] = []
        with torch.autograd.graph.saved_tensors_hooks(
            lambda tensor, saved=saved: saved.append(tensor.nbytes) or tensor, lambda tensor: tensor
        ):
            losses = run_all(made)
        results.append((losses, weights_of(made)))
        held.append(sum(saved))
    assert results[0][0] == results[1][0]
    assert all(torch.equal(results[1][1][name], value) for name, value in results[0][1].items())
    assert held[1] < 0.75 * held[0]


def test_float16_follows_float32(tiny, bench, pairs):
    exact = bench(tiny(**merge(NO_DROPOUT, {"train": {"precision": "float32"}})), pairs)
    scaled = bench(tiny(**merge(NO_DROPOUT, {"train": {"precision": "float16"}})), pairs)
    one, other = (
        exact.run(exact.plan[0])[0],
        scaled.run(scaled.plan[0])[0],
    )  # later ones part: AdamW divides by size
    assert other["loss"] == pytest.approx(one["loss"], rel=2e-3)
    assert other["loss"] != one["loss"]
    assert scaled.updater.scaler.get_scale() == 2.0**16


def test_a_gradient_too_large_for_float16_lowers_the_scale_and_is_left_out(tiny, bench, pairs):
    made = bench(tiny(optim={"max_grad_norm": 1.0}, train={"precision": "float16"}), pairs)
    before, scale = weights_of(made), made.updater.scaler.get_scale()
    handle = made.model.encoder.vision.pos_embed.register_hook(lambda gradient: gradient * torch.inf)
    (norm, *_) = [step["norm"] for step in made.run(made.plan[0])]
    handle.remove()
    assert norm == float("inf")
    assert made.updater.scaler.get_scale() < scale
    assert all(torch.equal(value, before[name]) for name, value in weights_of(made).items())


def test_the_average_follows_its_formula(tiny, bench, pairs):
    made = bench(tiny(**multitask(ema=0.6)), pairs)
    name = "encoder.vision.pos_embed"
    expected, seen = made.updater.parameters[name].detach().clone(), []
    update = Updater.update

    def watched(updater, step):
        update(updater, step)
        seen.append(updater.parameters[name].detach().clone())

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Updater, "update", watched)
        made.run(made.plan[0])
    for step, value in enumerate(seen):
        decay = min(0.6, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * value
    torch.testing.assert_close(made.updater.average[name], expected)
    trained = made.updater.parameters[name].detach().clone()
    with made.updater.averaged():
        torch.testing.assert_close(made.model.encoder.vision.pos_embed, expected, check_stride=False)
    assert torch.equal(made.updater.parameters[name], trained)


# --- cached features ------------------------------------------------------------------------------


def test_cached_features_change_no_loss_and_spare_the_encoder(tiny, bench, pairs, monkeypatch):
    config = tiny(**multitask(stages={"caption": {"batch": 3}, "joint": {"batch": 3}}))
    results, passes = [], []
    for cached in (False, True):
        made = bench(config, pairs)
        cache = FeatureCache(made.model) if cached else None
        calls: list[int] = []
        made.model.encoder.register_forward_hook(lambda *_, calls=calls: calls.append(1))
        _, caption, joint = made.plan
        take = made.stepper.take
        made.stepper.take = lambda turn, take=take, cache=cache: take(turn, cache)
        results.append(made.run(caption) + made.run(joint) + made.run(caption))
        passes.append(len(calls))
    for one, other in zip(*results, strict=True):
        assert other == pytest.approx(one, rel=1e-5)
    assert passes == [6, 6]  # six batches; six items, each once
    cache.clear()
    made.run(joint)
    assert len(calls) == 12


def test_the_loop_forgets_features_when_the_encoder_trains(tiny, build, fit_phase, pairs, tmp_path):
    def losses(name, **phase):
        config = tiny(out=str(tmp_path / name), train={"loggers": []}, **multitask(epochs=2, **phase))
        model = build(config.model)
        calls: list[int] = []
        model.encoder.register_forward_hook(lambda *_: calls.append(1))
        folder = fit_phase(config, model, pairs)
        rows = folder.log.read_text().splitlines()[1:]
        return len(calls), [float(row.split(",")[3]) for row in rows]

    plain, cached = losses("plain"), losses("cached", cache_features=True)
    assert cached[1] == pytest.approx(plain[1], rel=1e-4)
    assert plain[0] == 2 * 9
    # three batches of stage i, then each of the six items once for ii and iii
    assert cached[0] == 2 * (3 + 6)
    frozen = losses("frozen", cache_features=True, only=("caption", "joint"))
    assert frozen[0] == 6  # once for all epochs


def test_runs_on_one_encoder_share_the_features_in_a_folder(tiny, build, fit_phase, pairs, tmp_path):
    def losses(name, stages=("caption", "joint"), other=False, **train):
        config = tiny(
            out=str(tmp_path / name),
            train={"loggers": [], **train},
            **multitask(epochs=2, cache_features=True, only=stages),
        )
        model = build(config.model)
        model.encoder.vision.pos_embed.data += 0.1 * other
        calls: list[int] = []
        model.encoder.register_forward_hook(lambda *_: calls.append(1))
        rows = fit_phase(config, model, pairs).log.read_text().splitlines()[1:]
        return len(calls), [row.split(",")[3] for row in rows]

    folder = str(tmp_path / "features")
    first, second = losses("first", features=folder), losses("second", features=folder)
    assert (first[0], second[0]) == (6, 0) and first[1] == second[1] == losses("memory")[1]
    assert losses("other", other=True, features=folder)[0] == 6  # another encoder
    kept = sorted(Path(folder).rglob("*"))
    losses("trains", stages=("change", "joint"), features=folder)
    assert sorted(Path(folder).rglob("*")) == kept  # an encoder that trains has no lasting features
