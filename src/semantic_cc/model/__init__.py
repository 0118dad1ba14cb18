"""The network modules. `semantic_cc.py` connects them; `semantic_cc.checkpoint.build` builds them from a config."""
