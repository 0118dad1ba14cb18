"""Composite pairs: training pairs from real single-date images with building masks, mixed by a recipe.

A source (`unrelated_pairs`, `pasted_roofs`, `unchanged_pairs`) makes a `CompositeScene` of the images of one split;
`mixture` puts both dates in their own light and the facts into the sentences of `synth.procedural`;
`composite_dataset` writes many in the layout of LEVIR-MCI.
"""

from semantic_cc.synth.composite.composite_dataset import write_mixture
from semantic_cc.synth.composite.mixture import Mixture, make_pair, open_mixture
from semantic_cc.synth.composite.mixture_recipe import MixtureRecipe, parse_recipe

__all__ = ["Mixture", "MixtureRecipe", "make_pair", "open_mixture", "parse_recipe", "write_mixture"]
