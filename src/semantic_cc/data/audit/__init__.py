"""Auditing datasets: places in two splits, and faults of images, masks and captions."""

from semantic_cc.data.audit.audit_report import AuditReport, audit

__all__ = ["AuditReport", "audit"]
