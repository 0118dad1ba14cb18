"""Accuracy of change flags."""

from __future__ import annotations

from collections.abc import Mapping

from semantic_cc.errors import DataError


def change_flag_accuracy(flags: Mapping[str, bool], truth: Mapping[str, bool]) -> float:
    """Fraction of images with the correct flag, in percent.

    Args:
        flags: name -> predicted flag.
        truth: name -> true flag, with the same names.

    Raises:
        DataError: no names, or the names differ.
    """
    if not truth or flags.keys() != truth.keys():
        counts = f"{len(flags)} predicted and {len(truth)} true ones"
        raise DataError(f"change flags: {counts}; the names must be the same, at least one")
    return 100 * sum(bool(flags[name]) == bool(truth[name]) for name in truth) / len(truth)
