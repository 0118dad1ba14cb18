"""Builds a baseline on the shared encoder or on its own."""

from __future__ import annotations

from semantic_cc.baselines.changeformer import build_changeformer
from semantic_cc.baselines.chg2cap import build_chg2cap
from semantic_cc.baselines.cstsunet import build_cstsunet
from semantic_cc.baselines.fc_siam_diff import build_fc_siam_diff
from semantic_cc.baselines.idet import build_idet
from semantic_cc.baselines.promptcc import build_promptcc
from semantic_cc.baselines.psnet import build_psnet
from semantic_cc.baselines.rsiccformer import build_rsiccformer
from semantic_cc.baselines.ttp import build_ttp
from semantic_cc.baselines.wnet import build_wnet
from semantic_cc.config import ModelConfig
from semantic_cc.foundation.llm import LanguageModel
from semantic_cc.model.base import ChangeModel
from semantic_cc.model.encoder import BitemporalEncoder


def build_baseline(
    config: ModelConfig, encoder: BitemporalEncoder | None, llm: LanguageModel | None = None
) -> ChangeModel:
    """Builds the method `config.method` with random weights, except for the encoder and the language model.

    Args:
        config: all sizes.
        encoder: the shared encoder without BCSF; None for a change detector with its own encoder.
        llm: the language model, for methods that use one.

    Raises:
        ValueError: the method is not a baseline, or it lacks the encoder or language model it needs.
    """
    match config.method:
        case "fc-siam-diff":
            return build_fc_siam_diff(config, encoder)
        case "changeformer":
            return build_changeformer(config, encoder)
        case "idet":
            return build_idet(config, encoder)
        case "wnet":
            return build_wnet(config, encoder)
        case "cstsunet":
            return build_cstsunet(config, encoder)
    if encoder is None:
        raise ValueError(f"{config.method} has no encoder of its own")
    match config.method:
        case "rsiccformer":
            return build_rsiccformer(config, encoder)
        case "ttp":
            return build_ttp(config, encoder)
        case "psnet":
            return build_psnet(config, encoder)
        case "chg2cap":
            return build_chg2cap(config, encoder)
        case "promptcc" if llm:
            return build_promptcc(config, encoder, llm)
    raise ValueError(f"{config.method} is no compared method")
