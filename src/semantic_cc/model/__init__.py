"""The network: parts arrive built, `semantic_cc.py` routes, `build.py` has the sizes."""
