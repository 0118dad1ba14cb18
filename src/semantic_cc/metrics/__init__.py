"""What the numbers mean: change-detection scores by pixel, caption scores by the `word` protocol."""

from semantic_cc.metrics.caption import (
    best_constant_sentence,
    change_flag_accuracy,
    cider_interval,
    report,
    says_change,
    score_captions,
)
from semantic_cc.metrics.change import ChangeMetric, ChangeScore, ClassScore

__all__ = [
    "ChangeMetric",
    "ChangeScore",
    "ClassScore",
    "best_constant_sentence",
    "change_flag_accuracy",
    "cider_interval",
    "report",
    "says_change",
    "score_captions",
]
