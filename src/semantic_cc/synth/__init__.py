"""Training pairs with true masks and sentences: drawn (`procedural`) or composed of real images (`composite`)."""
