"""Foundation weights: SAM, BLIP-2's Q-Former, MiniGPT-4's projection, the LLM; in from every official layout.

`catalogue` knows the models by name, `tables` their keys, `reading` opens files, `parts` turns them into tensors
under our names and puts those into our modules, `llm_files` and `llm` find and load the language model, `convert`
fills the cache, `fetch` downloads, `verify` proves that everything landed where it belongs.
"""

from semantic_cc.model.weights.catalogue import FOUNDATIONS, Foundation, cache_folder
from semantic_cc.model.weights.llm import LanguageModel, load_llm
from semantic_cc.model.weights.reading import digest_of

__all__ = ["FOUNDATIONS", "Foundation", "LanguageModel", "cache_folder", "digest_of", "load_llm"]
