"""Foundation weights: SAM, BLIP-2's Q-Former, MiniGPT-4's projection, the LLM; in from every official layout.

`catalogue` knows the models by name, `key_mapping` their keys, `weight_files` opens files, `parts` turns them into
tensors under our names and puts those into our modules, `llm_files` and `llm` find and load the language model,
`convert` fills the cache, `download` fetches from the hub, `verify` proves that everything landed where it belongs.
"""

from semantic_cc.foundation.catalogue import FOUNDATIONS, Foundation, cache_folder
from semantic_cc.foundation.llm import LanguageModel, load_llm
from semantic_cc.foundation.weight_files import digest_of

__all__ = ["FOUNDATIONS", "Foundation", "LanguageModel", "cache_folder", "digest_of", "load_llm"]
