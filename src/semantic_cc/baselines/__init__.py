"""The methods that Semantic-CC is compared with, each written from its paper, a file each.

They train and are scored by the same commands. Those that write sentences, and TTP, start from the same image encoder
as Semantic-CC, without BCSF; the other change detectors are networks with an encoder of their own. `captioner` is what
the word-by-word methods share, with `vocabulary` and `word_decoder`, and `mask_model` what the change detectors
share, with `change_networks`; `build` builds any of them.
"""
