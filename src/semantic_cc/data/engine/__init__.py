"""The data engine: training pairs from single-date images with building masks, mixed by a recipe.

A source (`unrelated`, `pasted`, `unchanged`) makes a `Scene` of images that its split may see; `mix` puts both dates in
their own light and the facts into the world's sentences; `writer` writes many in the layout of LEVIR-MCI.
"""

from .mix import Mixture, make_pair, open_mixture
from .recipe import Recipe, parse_recipe
from .writer import write_mixture

__all__ = ["Mixture", "Recipe", "make_pair", "open_mixture", "parse_recipe", "write_mixture"]
