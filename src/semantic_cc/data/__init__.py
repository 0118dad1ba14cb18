"""Datasets in every layout, paired transforms, audits and statistics."""
