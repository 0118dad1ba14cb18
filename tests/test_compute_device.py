"""Devices: what they cannot do is said in one line."""

import pytest
import torch
from torch._inductor import config as inductor
from torch._inductor.cpp_builder import cpp_compiler_search
from torch._inductor.utils import fresh_cache

from semantic_cc.compute_device import check_compiler
from semantic_cc.errors import InputError


def test_a_missing_compiler_is_said_in_one_line() -> None:
    """Through torch's compiler itself, which looks for a C++ compiler where the device is a CPU."""
    cpp_compiler_search.cache_clear()
    absent = inductor.patch({"cpp.cxx": ("no-such-compiler",)})
    with fresh_cache(), absent, pytest.raises(InputError, match="torch cannot compile for cpu") as caught:
        check_compiler(torch.device("cpu"))
    cpp_compiler_search.cache_clear()
    message = str(caught.value)
    assert "no-such-compiler" in message and "\n" not in message and "TORCH" not in message
    assert message.endswith("install a C compiler and Python's headers, or leave compiled decoding out")
