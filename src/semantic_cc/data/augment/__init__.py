"""Paired augmentation: images, mask and sentences are transformed consistently (docs/augmentation.md)."""
