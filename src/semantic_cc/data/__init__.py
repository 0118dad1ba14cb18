"""Datasets, paired transforms and the synthetic world."""
