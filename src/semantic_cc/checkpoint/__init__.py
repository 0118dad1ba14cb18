"""Builds, saves and loads models: config.json and tensors, model card, Hub, older formats, device maps."""
