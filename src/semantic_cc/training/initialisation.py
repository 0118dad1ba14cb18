"""Initial model of a run, and checks of its initial weights."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from semantic_cc.config import Config, ModelConfig
from semantic_cc.data.items import ChangeDataset
from semantic_cc.errors import ConfigError, DataError
from semantic_cc.training.sampling import TrainingPairs

if TYPE_CHECKING:
    from semantic_cc.model.base import ChangeModel


def starting_model(config: Config) -> ChangeModel:
    """A newly built model, or the trained model at `config.train.init`.

    Raises:
        As `start`.
    """
    return start(config)[0]


def start(config: Config) -> tuple[ChangeModel, Mapping[str, object]]:
    """`starting_model`, and its training history from config.json.

    A trained model takes over the fields of decoding, on which no weight depends. Where phase `keyword_head` runs, it
    takes over the keywords, whose head is then untrained. Where phase `llm` runs, it loses the language model's layers
    that the configuration leaves out, and gets the adapters that it has and the trained model has not.

    Raises:
        ConfigError: the trained model differs from `config.model` in another field; a hybrid's ImageNet weights are
            not installed.
        CheckpointError: the folder contains no complete model.
        FoundationWeightsError: the weights of SAM, BLIP-2, MiniGPT-4 or the LLM are not found.
    """
    from semantic_cc.checkpoint.build import (
        build_model,
        change_decoding,
        change_language_model,
        with_decoding_of,
        with_language_model_of,
    )
    from semantic_cc.checkpoint.serialization import load_pretrained
    from semantic_cc.checkpoint.stored_parameters import as_stored
    from semantic_cc.model.hybrid import start_from_imagenet

    if config.train.init is None:
        model = build_model(config.model, seed=config.train.seed)
        if model.config.encoder.hybrid and model.config.encoder.weights is None and model.config.has_sam:
            start_from_imagenet(model.encoder.vision.patch_embed.projection.trunk)
        return model, {}
    model, info = load_pretrained(config.train.init, merge=False)
    wanted, kinds = config.model, {phase.kind for phase in config.phases.values()}
    if "keyword_head" not in kinds:
        wanted = replace(wanted, keywords=info.config.keywords)
    ours = wanted.method == "semantic-cc"
    own = with_decoding_of(info.config, wanted) if ours else info.config
    if ours and "llm" in kinds:
        own = with_language_model_of(own, wanted)
    if own != as_stored(wanted):
        raise ConfigError(
            f"configuration: train.init {config.train.init} is another model than the configuration describes; "
            "give the same model fields, or another folder"
        )
    if ours and "llm" in kinds:
        change_language_model(model, wanted)
    if ours:
        change_decoding(model, wanted)
    return model, dict(info.training)


def needs_vocabulary(model: ModelConfig) -> bool:
    """Whether a model generates from the words of the training sentences, and has none yet."""
    if model.has_llm:
        return model.llm.min_count > 0 and not model.llm.vocabulary
    return model.writes and not model.baseline.vocabulary


def with_vocabulary(config: Config, datasets: Iterable[TrainingPairs]) -> Config:
    """`config` with the vocabulary of the training sentences; a language model's also has the words of `train.init`.

    Raises:
        DataError: no word occurs often enough.
        CheckpointError: `train.init` contains no complete model.
    """
    from semantic_cc.baselines.vocabulary import split, vocabulary_of
    from semantic_cc.checkpoint.model_info import find_model, read_info

    model = config.model
    section, sizes = ("llm", model.llm) if model.has_llm else ("baseline", model.baseline)
    sentences = [
        sentence for pairs in datasets for name in pairs.names for sentence in pairs.references.get(name, ())
    ]
    words = vocabulary_of(sentences, sizes.min_count, str.split if model.has_llm else split)
    if sentences and not words:
        raise DataError(
            f"no word occurs {sizes.min_count} times in the training sentences; lower model.{section}.min_count"
        )
    if model.has_llm and config.train.init is not None:
        known = read_info(find_model(config.train.init))[0].config.llm.vocabulary
        words = tuple(sorted({*words, *known}))
    own: Any = {section: replace(sizes, vocabulary=words)}
    return replace(config, model=replace(model, **own))


def refuse_untrained_foundations(config: Config, reads_sentences: bool) -> None:
    """Rejects runs that freeze randomly initialised weights. A run that starts from a trained model passes.

    Args:
        config: the run.
        reads_sentences: whether a phase trains on sentences.

    Raises:
        ConfigError: SAM (under LoRA) is frozen without weights, or the Q-Former is in a run on sentences.
    """
    model, train = config.model, config.train
    if train.init is not None:
        return
    if model.has_sam and model.encoder.adapt != "full" and model.encoder.weights is None:
        raise ConfigError(
            f"configuration: model.encoder.adapt {model.encoder.adapt} freezes SAM; name its weights as "
            "model.encoder.weights, or train all of it with model.encoder.adapt full"
        )
    if model.method != "semantic-cc":
        return
    if model.qformer.frozen and model.qformer.weights is None and reads_sentences:
        raise ConfigError(
            "configuration: model.qformer.frozen keeps a Q-Former at its random start; name BLIP-2's weights as "
            "model.qformer.weights, or train it with model.qformer.frozen false"
        )


def require_flags(pairs: ChangeDataset) -> None:
    """Requires a change flag for each captioned pair, as the flag head and PromptCC's classifier need.

    Raises:
        DataError: a captioned pair has no change flag.
    """
    without = [item.name for item in pairs.items if item.sentences and item.changed is None]
    if without:
        raise DataError(
            f"{without[0]}: has no change flag ({len(without)} captioned pairs have none), which the flag head or "
            "promptcc's classifier learns from; add the flags (changeflag), or set model.flag_head false"
        )
