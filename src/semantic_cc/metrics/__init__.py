"""Metrics: pixel-wise change detection scores, and caption scores under a named protocol."""

from semantic_cc.metrics.caption import caption_report, score_captions
from semantic_cc.metrics.change import ChangeMetric, ChangeScore, ClassScore
from semantic_cc.metrics.change_flag import change_flag_accuracy
from semantic_cc.metrics.constant_cider import best_constant_sentence
from semantic_cc.metrics.protocols import PROTOCOLS
from semantic_cc.sentences import says_change

__all__ = [
    "PROTOCOLS",
    "ChangeMetric",
    "ChangeScore",
    "ClassScore",
    "best_constant_sentence",
    "caption_report",
    "change_flag_accuracy",
    "says_change",
    "score_captions",
]
