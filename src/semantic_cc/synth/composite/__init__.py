"""Composite pairs: training pairs from real single-date images with building masks, mixed according to a recipe.

A source (`unrelated_pairs`, `pasted_roofs`, `unchanged_pairs`) builds a `CompositeScene` from the images of one split.
`mixture` applies a different lighting to each date and writes the captions with `synth.procedural`.
`composite_dataset` writes a dataset in the LEVIR-MCI layout.
"""

from semantic_cc.synth.composite.composite_dataset import write_mixture
from semantic_cc.synth.composite.mixture import Mixture, make_pair, open_mixture
from semantic_cc.synth.composite.mixture_recipe import MixtureRecipe, parse_recipe

__all__ = ["Mixture", "MixtureRecipe", "make_pair", "open_mixture", "parse_recipe", "write_mixture"]
