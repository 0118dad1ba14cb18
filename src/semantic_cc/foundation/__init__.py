"""Foundation weights in every official format: SAM, BLIP-2's Q-Former, MiniGPT-4's projection, the LLM.

`catalogue` lists the known models, `key_mapping` maps their tensor names, `weight_files` opens files, `parts` reads
tensors under our names and loads them into our modules, `llm_files` finds the language model, `llm_conversion` and
`llm` convert and load it, `convert` fills the cache, `download` fetches from the Hub, `verify` checks conversions.
"""
