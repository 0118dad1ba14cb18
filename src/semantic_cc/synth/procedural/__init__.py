"""Procedural image pairs in the style of LEVIR-CC, generated from a seed, with exact masks and correct captions.

`plan_pair` lays out the scene at both dates and derives the change events. `generate_pair` renders the images and
writes the label and captions. `write_dataset` writes a dataset in the LEVIR-MCI layout.
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
