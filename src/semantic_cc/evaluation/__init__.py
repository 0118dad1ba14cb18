"""Scoring a trained model on a dataset."""
