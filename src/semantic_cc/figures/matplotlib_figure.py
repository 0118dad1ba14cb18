"""Makes matplotlib figures; the library is an optional extra."""

from __future__ import annotations

from typing import TYPE_CHECKING

from semantic_cc.errors import ConfigError

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def new_figure(width: float, height: float) -> Figure:
    """An empty figure of `width` x `height` inches, whose parts are laid out so that nothing overlaps.

    Raises:
        ConfigError: matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ConfigError("a diagram needs matplotlib: pip install 'semantic-cc[figures]'") from error
    return Figure(figsize=(width, height), layout="constrained")
