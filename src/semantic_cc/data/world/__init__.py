"""The synthetic world: seeded pairs in the style of LEVIR-CC with exact masks and true sentences.

`plan_pair` decides what stands where at both dates and gathers the facts, `generate_pair` draws it, labels it
and puts the facts into words, `write_dataset` writes many of them in the layout of LEVIR-MCI.
"""

from .layout import Event, Plan
from .pair import COVERS, draw_cover, draw_label, generate_pair
from .plan import is_changed, plan_pair
from .sentences import UNCHANGED
from .writer import SPLITS, VERSION, write_dataset

__all__ = [
    "COVERS",
    "SPLITS",
    "UNCHANGED",
    "VERSION",
    "Event",
    "Plan",
    "draw_cover",
    "draw_label",
    "generate_pair",
    "is_changed",
    "plan_pair",
    "write_dataset",
]
