"""The methods that Semantic-CC is compared with, one file each, reimplemented from their papers.

The same commands train and score them. The captioning methods and TTP use Semantic-CC's image encoder without BCSF;
the other change detectors have their own encoder. `captioner`, `vocabulary` and `word_decoder` are shared by the
captioning methods, `mask_model` and `change_networks` by the change detectors. `build` builds any of them.
"""
