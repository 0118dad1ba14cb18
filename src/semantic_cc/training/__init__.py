"""Training: phases, stages, the training loop, exact resume, validation."""
