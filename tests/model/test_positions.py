"""Where a Q-Former without pretraining looks at first."""

import math
from collections.abc import Callable

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from semantic_cc.config import QFormerConfig
from semantic_cc.model.qformer import QFormer, sine_positions, start_on_grid
from semantic_cc.model.semantic_cc import SemanticCCModel

GRID = {"queries": 16, "width": 192, "layers": 4, "heads": 3, "encoder_width": 192, "positions": True}


def test_the_table_is_the_formula() -> None:
    table = sine_positions(3, 5, 16)
    assert table.shape == (3, 5, 16)
    frequencies = [math.pi * (0.5 + 3.5 * i / 3) for i in range(4)]
    y, x = 1.5 / 3, 3.5 / 5
    expected = [f(place * w) for place in (y, x) for f in (math.sin, math.cos) for w in frequencies]
    assert_close(table[1, 3], 2 * torch.tensor(expected))


def test_a_place_has_the_same_position_at_any_size() -> None:
    assert_close(sine_positions(3, 3, 8)[1, 1], sine_positions(5, 5, 8)[2, 2])


@pytest.mark.parametrize(("queries", "rows", "columns"), [(16, 4, 4), (8, 2, 4), (3, 1, 3)])
def test_each_query_starts_by_reading_its_own_cell(queries: int, rows: int, columns: int) -> None:
    torch.manual_seed(0)
    qformer = QFormer(QFormerConfig(**(GRID | {"queries": queries}))).eval()
    start = nn.Parameter(torch.zeros(1, queries, 192))
    start_on_grid(qformer, start)
    for query in range(queries):
        row, column = divmod(query, columns)
        cells = torch.zeros(1, rows, columns, 4, 4, 192)
        content = torch.randn(192)
        influence = []
        for r in range(rows):
            for c in range(columns):
                marked = cells.clone()
                marked[0, r, c] = content
                influence.append(
                    _answer(qformer, start, marked)[query] - _answer(qformer, start, cells)[query]
                )
        sizes = torch.stack(influence).norm(dim=1)
        assert int(sizes.argmax()) == row * columns + column
        assert (sizes.sum() - sizes.max()) / (len(sizes) - 1) < 0.4 * sizes.max()


def _answer(qformer: QFormer, queries: nn.Parameter, cells: torch.Tensor) -> torch.Tensor:
    """(1, rows, columns, 4, 4, d) content by cell -> (q, d)."""
    _, rows, columns, _, _, width = cells.shape
    tokens = cells.permute(0, 1, 3, 2, 4, 5).reshape(1, rows * 4, columns * 4, width)
    seen = tokens + sine_positions(rows * 4, columns * 4, width)
    with torch.no_grad():
        return qformer(queries, seen.flatten(1, 2))[0]


def test_the_caption_decoder_adds_positions_where_asked(build: Callable[..., SemanticCCModel]) -> None:
    plain = build({"qformer": {"encoder_width": 32}}).caption_decoder
    placed = build({"qformer": {"encoder_width": 32, "positions": True}}).caption_decoder
    placed.load_state_dict(plain.state_dict())
    tokens = torch.randn(2, 3, 4, 32)
    seen = placed.ln_vision(placed.project(tokens)) + sine_positions(3, 4, 32)
    dates = placed.qformer(placed.queries, seen.flatten(1, 2))
    assert_close(placed.visual_tokens(tokens), placed.enhancer(*dates.chunk(2)))
    assert not torch.allclose(placed.visual_tokens(tokens), plain.visual_tokens(tokens))
