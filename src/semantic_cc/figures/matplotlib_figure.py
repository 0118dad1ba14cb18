"""Makes and renders matplotlib figures; the library is an optional extra."""

from __future__ import annotations

import io
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


def rendered(figure: Figure, *, tight: bool = False) -> dict[str, bytes]:
    """The figure as "png" and "pdf", without dates, so that the bytes are reproducible.

    Args:
        figure: the figure.
        tight: whether the page grows to hold what lies outside, such as long sentences.
    """
    files = {}
    for ending, facts in (("png", {"Software": None}), ("pdf", {"CreationDate": None})):
        content = io.BytesIO()
        figure.savefig(
            content, format=ending, dpi=150, metadata=facts, bbox_inches="tight" if tight else None
        )
        files[ending] = content.getvalue()
    return files
