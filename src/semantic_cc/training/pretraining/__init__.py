"""What comes before training where there are no public weights.

Land cover for the encoder (`encoder`), words for the Q-Former (`qformer`), sentences for the LLM's LoRA (`llm`).
"""
