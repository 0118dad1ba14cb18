"""The methods that Semantic-CC is compared with, each written from its paper, a file each.

All start from the same image encoder as Semantic-CC, without BCSF, and train and are scored by the same commands.
`captioner` is what the word-by-word methods share, with `words` and `decoder`; `build` builds any of them.
"""
