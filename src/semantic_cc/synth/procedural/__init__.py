"""Procedural pairs: drawn from a seed in the style of LEVIR-CC, with exact masks and true sentences.

`plan_pair` decides what stands where at both dates and gathers the facts, `generate_pair` draws it, labels it
and puts the facts into words, `write_dataset` writes many of them in the layout of LEVIR-MCI.
"""

from semantic_cc.synth.procedural.caption_writer import UNCHANGED
from semantic_cc.synth.procedural.pair_plan import is_changed, plan_pair
from semantic_cc.synth.procedural.procedural_dataset import VERSION, write_dataset
from semantic_cc.synth.procedural.procedural_pair import draw_cover, draw_label, generate_pair
from semantic_cc.synth.procedural.scene_objects import Event, PairPlan
from semantic_cc.synth.writer import SPLITS

__all__ = [
    "SPLITS",
    "UNCHANGED",
    "VERSION",
    "Event",
    "PairPlan",
    "draw_cover",
    "draw_label",
    "generate_pair",
    "is_changed",
    "plan_pair",
    "write_dataset",
]
