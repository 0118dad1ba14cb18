"""Building, saving and loading models: sizes, config.json and tensors, model card, hub, older formats, device maps."""
