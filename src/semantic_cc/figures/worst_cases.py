"""HTML page of the worst cases of an evaluation: before, after, both masks and both sentences."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from semantic_cc.figures.overlay import paint_mask
from semantic_cc.types import Pair

_STYLE = """
body { font: 15px/1.45 system-ui, sans-serif; margin: 2em auto; max-width: 1120px; padding: 0 1em; color: #1c1c1e }
section { border-top: 1px solid #ccc; padding: 1em 0 }
h2 { font-size: 1em; margin: 0 0 .5em; overflow-wrap: anywhere }
.row { display: grid; grid-template-columns: repeat(4, 1fr); gap: 8px }
figure { margin: 0 } img { width: 100%; image-rendering: pixelated } figcaption { color: #76767a }
.building { color: #ff5420 } .road { color: #00b0f0 }
"""


@dataclass(frozen=True)
class Case:
    """A pair with its predictions.

    Attributes:
        pair: images, mask and sentences of the dataset.
        mask: ``(H, W)`` uint8 of `LABEL_VALUES`, predicted.
        sentence: predicted.
        wrong: share of wrong pixels among those of known class, in [0, 1]; if the mask does not distinguish roads,
            building against the rest.
    """

    pair: Pair
    mask: np.ndarray
    sentence: str
    wrong: float


def worst_page(cases: Sequence[Case], title: str) -> bytes:
    """A self-contained HTML page with embedded images; changes are drawn over the after image.

    Args:
        cases: the worst first, each with a mask in its pair.
        title: the model and the dataset.
    """
    parts = [
        f"<!doctype html><html lang=en><meta charset=utf-8><title>{html.escape(title)}</title>"
        f"<style>{_STYLE}</style><h1>Worst cases</h1><p>{html.escape(title)}. By the share of wrong pixels. "
        "Changed <b class=building>buildings</b> and <b class=road>roads</b> are painted over the later image.</p>",
        *(_section(rank, case) for rank, case in enumerate(cases, 1)),
        "</html>\n",
    ]
    return "\n".join(parts).encode()


def _section(rank: int, case: Case) -> str:
    pair = case.pair
    assert pair.label is not None  # only pairs with a mask are ranked
    later = Image.fromarray(pair.after)
    pictures = {
        "before": Image.fromarray(pair.before),
        "after": later,
        "truth": paint_mask(later, pair.label),
        "ours": paint_mask(later, np.ascontiguousarray(case.mask)),
    }
    figures = "".join(
        f'<figure><img alt="{name}" src="data:image/jpeg;base64,{_jpeg(picture)}">'
        f"<figcaption>{name}</figcaption></figure>"
        for name, picture in pictures.items()
    )
    references = "; ".join(html.escape(text) for text in pair.sentences) or "no sentences in the dataset"
    return (
        f"<section><h2>{rank}. {html.escape(pair.name)}: {case.wrong:.1%} of the pixels wrong</h2>"
        f"<div class=row>{figures}</div>"
        f"<p><b>ours:</b> {html.escape(case.sentence)}<br><b>truth:</b> {references}</p></section>"
    )


def _jpeg(picture: Image.Image) -> str:
    buffer = io.BytesIO()
    picture.save(buffer, format="JPEG", quality=90)
    return base64.b64encode(buffer.getvalue()).decode()
