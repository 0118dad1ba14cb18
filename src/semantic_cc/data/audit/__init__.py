"""Auditing datasets: places that are in two splits, and what is wrong with images, masks and captions."""

from semantic_cc.data.audit.audit_report import audit

__all__ = ["audit"]
