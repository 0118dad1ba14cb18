"""Paired augmentation: images, mask and sentences move together and stay true (docs/augmentation.md)."""
