"""The compared methods, each a network of its own after its paper."""
