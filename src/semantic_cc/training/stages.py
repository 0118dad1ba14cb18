"""Training stages (paper III-F, Table IV).

============ ========== ======================= =====================================================
stage        items with losses                  trainable parts
============ ========== ======================= =====================================================
change       label      L_cd                    image encoder (its LoRA, or all of it where
                                                ``encoder.adapt`` is full, nothing of it where it is
                                                frozen), BCSF, the neck parts that
                                                change detection reaches, change decoder
caption      sentences  L_cc                    the neck parts that captioning reaches, ``Linear c ->
                                                1408``, enhancer, LLM LoRA, flag head; Q-Former and
                                                queries where they are not frozen
joint        both       L_cc + lambda L_cd      neck
together     both       L_cc + lambda L_cd      what stages change and caption train (Table IV)
caption      sentences  L_cc                    with the change task off: caption's parts, and image
                                                encoder and BCSF, which no other stage would train
mask_decoder label      L_cd                    change decoder
encoder      land cover of land cover           image encoder except BCSF (phase encoder)
qformer      sentences  of their words          caption's parts except neck and LLM (phase qformer)
llm          sentences  L_cc                    the LLM's LoRA (phase llm)
caption,     sentences  L_cc or                 for a baseline: image encoder and all other parts except a
change       or label   L_cd                    language model
============ ========== ======================= =====================================================

With a flag head, its loss is added to each caption loss. ``ln_vision``, the LLM's base, and with ``encoder.adapt``
lora SAM's base and SAM's neck, never train.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from semantic_cc.errors import TrainingError

if TYPE_CHECKING:
    from torch import nn

    from semantic_cc.config import ModelConfig
    from semantic_cc.model.base import ChangeModel

Needs = Literal["change", "caption", "both"]
Rule = Callable[["ChangeModel"], set[str]]


@dataclass(frozen=True)
class Stage:
    """One stage of an epoch.

    Attributes:
        name: shown in the log.
        needs: what the items of the stage must have: a label, sentences, or both.
        change: whether the stage uses the change-detection loss L_cd.
        caption: whether the stage uses the caption loss L_cc and the flag head's.
        trains: functions whose union is the set of trainable parameters.
        number: part of the key of its random draws, which makes them independent of other stages.
    """

    name: str
    needs: Needs
    change: bool
    caption: bool
    trains: tuple[Rule, ...]
    number: int = 0


def _below(model: ChangeModel, *prefixes: str) -> set[str]:
    return {name for name, _ in model.named_parameters() if name.startswith(prefixes)}


def encoder(model: ChangeModel) -> set[str]:
    """What ``encoder.adapt`` trains of the image encoder (its LoRA, all parameters, or nothing), and BCSF.

    Excludes SAM's neck with the change task off.
    """
    vision = _below(model, "encoder.vision.") if model.config.encoder.adapt != "frozen" else set()
    if model.config.encoder.adapt == "lora":
        vision = {name for name in vision if "lora_" in name}
    elif not model.config.change_task:
        vision -= _below(model, "encoder.vision.neck.")
    return vision | _below(model, "encoder.filters.")


def vision(model: ChangeModel) -> set[str]:
    """All of the image encoder except BCSF."""
    return _below(model, "encoder.vision.")


def neck_of_change(model: ChangeModel) -> set[str]:
    """The neck parameters that receive gradients from the change-detection loss."""
    return _reached(model, "change")


def neck_of_caption(model: ChangeModel) -> set[str]:
    """The neck parameters that receive gradients from the caption loss."""
    return _reached(model, "caption")


def _reached(model: ChangeModel, task: Literal["change", "caption"]) -> set[str]:
    if model.neck is None:
        return set()
    return {f"neck.{name}" for name in model.neck.reached_by(task)}


def neck(model: ChangeModel) -> set[str]:
    """The whole neck."""
    return _below(model, "neck.")


def change_decoder(model: ChangeModel) -> set[str]:
    """The change-detection decoder."""
    return _below(model, "change_decoder.")


def caption_path(model: ChangeModel) -> set[str]:
    """The caption decoder up to the LLM: projection, enhancer, flag head; Q-Former and queries unless frozen."""
    names = _below(model, *(f"caption_decoder.{part}." for part in ("project", "enhancer", "to_llm", "flag")))
    if not model.config.qformer.frozen:
        names |= _below(model, "caption_decoder.qformer.", "caption_decoder.queries")
    return names


def caption_decoder(model: ChangeModel) -> set[str]:
    """The caption path and the LLM's LoRA."""
    return caption_path(model) | llm_lora(model)


def llm_lora(model: ChangeModel) -> set[str]:
    """The LLM's LoRA."""
    return {name for name in _below(model, "caption_decoder.llm.") if "lora_" in name}


def compared_method(model: ChangeModel) -> set[str]:
    """All parameters of a baseline except image encoder and language model."""
    return _below(model, "neck.", "change_decoder.", "caption_decoder.") - _below(
        model, "caption_decoder.llm."
    )


CHANGE = Stage("change", "change", True, False, (encoder, neck_of_change, change_decoder))
CAPTION = Stage("caption", "caption", False, True, (neck_of_caption, caption_decoder), number=1)
JOINT = Stage("joint", "both", True, True, (neck,), number=2)
TOGETHER = Stage(
    "together",
    "both",
    True,
    True,
    (encoder, neck_of_change, neck_of_caption, change_decoder, caption_decoder),
)
CAPTION_ONLY = Stage("caption", "caption", False, True, (encoder, caption_decoder))
MASK_DECODER = Stage("mask_decoder", "change", True, False, (change_decoder,))
ENCODER = Stage("encoder", "change", False, False, (vision,))
QFORMER = Stage("qformer", "caption", False, False, (caption_path,))
LLM_LORA = Stage("llm", "caption", False, True, (llm_lora,))
LLM_AND_QFORMER = Stage("llm", "caption", False, True, (caption_decoder,))
COMPARED_CAPTION = Stage("caption", "caption", False, True, (encoder, compared_method))
COMPARED_CHANGE = Stage("change", "change", True, False, (encoder, compared_method))

BY_NAME = {stage.name: stage for stage in (CHANGE, CAPTION, JOINT, TOGETHER, MASK_DECODER)}
"""Stage names in a configuration."""


def stages_of(names: Iterable[str], config: ModelConfig) -> tuple[Stage, ...]:
    """The named stages that apply to the model, in the given order.

    With the change task off, only `caption` applies, and trains the encoder, too. A baseline has one task: only
    `caption` or `change` applies.
    """
    if config.method != "semantic-cc":
        only = COMPARED_CAPTION if config.writes else COMPARED_CHANGE
    elif not config.change_task:
        only = CAPTION_ONLY
    else:
        return tuple(BY_NAME[name] for name in names)
    return (only,) if only.name in names else ()


def trainable_names(stage: Stage, model: ChangeModel) -> set[str]:
    """Names, as in ``model.named_parameters()``, of the parameters that train in `stage`.

    Raises:
        TrainingError: the stage has no trainable parameters.
    """
    names: set[str] = set().union(*(rule(model) for rule in stage.trains))
    if not names:
        raise TrainingError(f"stage {stage.name} trains nothing in this model")
    return names


def apply(stage: Stage, model: ChangeModel) -> None:
    """Prepares `model` for `stage`: sets `requires_grad`, clears gradients of frozen parameters, sets the mode.

    Parts without trainable parameters are in eval mode, which disables their dropout.
    """
    names = trainable_names(stage, model)
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(name in names)
        parameter.grad = None
    model.train()
    for part in _parts(model):
        part.train(any(parameter.requires_grad for parameter in part.parameters()))


def _parts(model: ChangeModel) -> Iterator[nn.Module]:
    """The modules whose mode is set as a unit; for a caption decoder with a frozen LLM, its children."""
    for name, part in model.named_children():
        if name == "caption_decoder" and model.llm is not None:
            yield from part.children()
        else:
            yield part
