"""Foundation weights in every official format: SAM, BLIP-2's Q-Former, MiniGPT-4's projection, the LLM.

`catalogue` lists the known models, `key_mapping` maps their tensor names, `weight_files` opens files, `parts` reads
tensors under our names and loads them into our modules, `llm_files` and `llm` find and load the language model,
`convert` fills the cache, `download` fetches from the Hub, `verify` checks converted weights.
"""

from semantic_cc.foundation.catalogue import FOUNDATIONS, Foundation, cache_folder
from semantic_cc.foundation.llm import LanguageModel, load_llm
from semantic_cc.foundation.weight_files import digest_of

__all__ = ["FOUNDATIONS", "Foundation", "LanguageModel", "cache_folder", "digest_of", "load_llm"]
