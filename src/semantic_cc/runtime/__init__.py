"""Ways to execute a loaded model: one interface, several runtimes with equal results.

`interface` is what all have, `torch_runtime` the reference, `openvino_runtime` the fast one on a CPU. `load` chooses
and loads one. `vision_graph` and `language_graph` make OpenVINO graphs of the two parts of a model, `export` writes
them into the cache (`graph_cache`), `engine` runs them, `decoding` is greedy and beam search around them. Only
exporting loads torch.
"""
