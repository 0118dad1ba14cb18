"""Synthetic training pairs with exact masks and captions: rendered (`procedural`) or from real images (`composite`)."""
