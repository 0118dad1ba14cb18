"""A language model spread over places says what it says in one."""

import numpy as np
import pytest
import torch

from semantic_cc import SemanticCC
from semantic_cc.errors import InputError

REST = {"model.embed_tokens": "cpu", "model.rotary_emb": "cpu", "model.norm": "cpu", "lm_head": "cpu"}


@pytest.fixture
def pair():
    rng = np.random.default_rng(0)
    return [rng.integers(0, 256, (64, 64, 3), dtype=np.uint8) for _ in range(2)]


@pytest.mark.parametrize("device_map", ["auto", {**REST, "model.layers.0": "cpu", "model.layers.1": "disk"}])
def test_the_answers_stay(device_map, pair, tiny_folder):
    whole = SemanticCC.from_pretrained(tiny_folder, "cpu")
    with torch.no_grad():
        whole.model.caption_decoder.flag.bias.fill_(9.0)  # or the LLM might not be asked
    spread = SemanticCC.from_pretrained(tiny_folder, "cpu", llm_device_map=device_map)
    with torch.no_grad():
        spread.model.caption_decoder.flag.bias.fill_(9.0)
    if device_map != "auto":
        layer = spread.model.caption_decoder.llm.model.layers[1]
        assert {parameter.device.type for parameter in layer.parameters()} == {"meta"}  # on the disk
    expected, found = whole.describe(*pair), spread.describe(*pair)
    assert found.sentences == expected.sentences and expected.sentences
    np.testing.assert_array_equal(found.mask, expected.mask)


@pytest.mark.parametrize(
    ("device_map", "options", "message"),
    [
        ({"model.embed_tokens": "cpu"}, {}, "llm_device_map does not fit the model: "),
        ("auto", {"merge": False}, "only with its adapters merged"),
    ],
)
def test_what_cannot_be_spread(device_map, options, message, tiny_folder):
    with pytest.raises(InputError, match=message):
        SemanticCC.from_pretrained(tiny_folder, "cpu", llm_device_map=device_map, **options)
