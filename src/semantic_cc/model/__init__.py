"""The network alone: parts arrive built, `semantic_cc.py` routes; `semantic_cc.checkpoint.build` has the sizes."""
