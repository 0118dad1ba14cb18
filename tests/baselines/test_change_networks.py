"""What the change-detection networks share: images of any size, and no state but parameters."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from semantic_cc.baselines.changeformer import ChangeFormer, hierarchical_encoder
from semantic_cc.baselines.cstsunet import CSTSUNet
from semantic_cc.baselines.fc_siam_diff import FCSiamDiff
from semantic_cc.baselines.idet import IDET
from semantic_cc.baselines.wnet import WNet

WIDTHS = (4, 8, 20, 32)
NETWORKS: dict[str, Callable[[], nn.Module]] = {
    "fc-siam-diff": lambda: FCSiamDiff(3, widths=(4, 8), depths=(2, 2)),
    "changeformer": lambda: ChangeFormer(WIDTHS, 8, 3, hierarchical_encoder(WIDTHS, (1, 1, 1, 1))),
    "idet": lambda: IDET(3, widths=(8, 8, 16, 32, 32), depths=(1, 1, 1, 1, 1)),
    "wnet": lambda: WNet(3, widths=(4, 8, 16, 32), heads=(1, 1, 2, 4)),
    "cstsunet": lambda: CSTSUNet(3, widths=(4, 8, 16, 32), heads=(1, 2, 4, 4), depths=(1, 1, 1, 1)),
}


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("size", [(64, 64), (37, 70), (1, 5)])
def test_images_of_any_size(
    name: str, size: tuple[int, int], dates: Callable[..., tuple[Tensor, Tensor]]
) -> None:
    network = NETWORKS[name]().eval()
    logits = network(*dates(*size))
    assert logits.shape == (2, 3, *size)
    assert torch.isfinite(logits).all()


@pytest.mark.parametrize("name", NETWORKS)
def test_a_pair_is_answered_alone_as_in_a_batch(
    name: str, dates: Callable[..., tuple[Tensor, Tensor]]
) -> None:
    network = NETWORKS[name]().eval()
    before, after = dates(40, 33)
    together = network(before, after)
    torch.testing.assert_close(network(before[1:], after[1:]), together[1:])


@pytest.mark.parametrize("name", NETWORKS)
def test_no_state_but_parameters_is_learned(name: str) -> None:
    """The training state holds parameters alone: running means would be lost."""
    network = NETWORKS[name]()
    assert set(network.state_dict()) == {parameter for parameter, _ in network.named_parameters()}
