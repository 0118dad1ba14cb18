"""Pretraining phases for parts without public weights.

Land-cover segmentation for the encoder (`encoder`), word prediction for the Q-Former (`qformer`), captioning for the
LLM's LoRA (`llm`).
"""
