"""What a run starts from, and what it refuses to start from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from semantic_cc.config import Config
from semantic_cc.data.items import ChangeDataset
from semantic_cc.errors import ConfigError, DataError
from semantic_cc.training.sampling import TrainingPairs

if TYPE_CHECKING:
    from semantic_cc.model.base import ChangeModel


def starting_model(config: Config) -> ChangeModel:
    """The model at its first weights, or the trained model that `config.train.init` names.

    Raises:
        As `start`.
    """
    return start(config)[0]


def start(config: Config) -> tuple[ChangeModel, Mapping[str, object]]:
    """`starting_model`, and how it was trained until now, as its config.json has it.

    Raises:
        ConfigError: that model is another than `config.model`; a hybrid's ImageNet weights are not installed.
        CheckpointError: that folder holds no whole model.
        FoundationWeightsError: SAM's, BLIP-2's, MiniGPT-4's or the LLM's weights are not to be found.
    """
    from semantic_cc.checkpoint.build import build_model
    from semantic_cc.checkpoint.serialization import load_pretrained
    from semantic_cc.checkpoint.stored_parameters import as_stored
    from semantic_cc.model.hybrid import start_from_imagenet

    if config.train.init is None:
        model = build_model(config.model, seed=config.train.seed)
        if model.config.encoder.hybrid and model.config.encoder.weights is None and model.config.has_sam:
            start_from_imagenet(model.encoder.vision.patch_embed.projection.trunk)
        return model, {}
    model, info = load_pretrained(config.train.init, merge=False)
    if info.config != as_stored(config.model):
        raise ConfigError(
            f"configuration: train.init {config.train.init} is another model than the configuration describes; "
            "give the same model fields, or another folder"
        )
    return model, dict(info.training)


def with_vocabulary(config: Config, pairs: TrainingPairs) -> Config:
    """`config` with the words of the training sentences, where its method writes word by word and has none yet.

    Raises:
        DataError: no word occurs often enough.
    """
    from semantic_cc.baselines.vocabulary import vocabulary_of

    sizes = config.model.baseline
    if config.model.has_llm or not config.model.writes or sizes.vocabulary:
        return config
    sentences = [sentence for name in pairs.names for sentence in pairs.references.get(name, ())]
    words = vocabulary_of(sentences, sizes.min_count)
    if sentences and not words:
        raise DataError(
            f"no word occurs {sizes.min_count} times in the training sentences; lower model.baseline.min_count"
        )
    return replace(config, model=replace(config.model, baseline=replace(sizes, vocabulary=words)))


def refuse_untrained_foundations(config: Config, reads_sentences: bool) -> None:
    """Freezing weights that nobody trained would waste the run without a word; a trained model has none.

    Args:
        config: the run.
        reads_sentences: whether a phase of it trains on sentences.

    Raises:
        ConfigError: SAM is frozen (LoRA) without weights, or the Q-Former is and sentences are read.
    """
    model, train = config.model, config.train
    if train.init is not None:
        return
    if model.encoder.adapt == "lora" and model.encoder.weights is None:
        raise ConfigError(
            "configuration: model.encoder.adapt lora freezes SAM; name its weights as model.encoder.weights, "
            "or train all of it with model.encoder.adapt full"
        )
    if model.method != "semantic-cc":
        return
    if model.qformer.frozen and model.qformer.weights is None and reads_sentences:
        raise ConfigError(
            "configuration: model.qformer.frozen keeps a Q-Former at its random start; name BLIP-2's weights as "
            "model.qformer.weights, or train it with model.qformer.frozen false"
        )


def require_flags(pairs: ChangeDataset) -> None:
    """The change-flag head, or PromptCC's classifier, learns from every captioned pair.

    Raises:
        DataError: one has no change flag.
    """
    without = [item.name for item in pairs.items if item.sentences and item.changed is None]
    if without:
        raise DataError(
            f"{without[0]}: has no change flag ({len(without)} captioned pairs have none), which the flag head or "
            "promptcc's classifier learns from; add the flags (changeflag), or set model.flag_head false"
        )
