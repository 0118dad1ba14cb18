"""The diagrams of a benchmark."""

from __future__ import annotations

import io

from semantic_cc.bench.bench_report import BenchReport
from semantic_cc.figures.matplotlib_figure import new_figure


def draw_bench(found: BenchReport) -> bytes:
    """Seconds against scene size on logarithmic axes, and pairs a second against batch size; returns a PNG.

    Raises:
        ConfigError: matplotlib is not installed.
    """
    figure = new_figure(9.0, 4.0)
    cost, throughput = figure.subplots(1, 2)
    sides = [found.image_size, *(scene.side for scene in found.scenes)]
    described = [found.pair.changed.median, *(scene.seconds for scene in found.scenes)]
    masks = [found.pair.mask.median, *(scene.without_sentences for scene in found.scenes)]
    megapixels = [side * side / 1e6 for side in sides]
    cost.loglog(megapixels, described, marker="o", label="masks and sentences")
    cost.loglog(megapixels, masks, marker="s", label="masks")
    cost.set(xlabel="megapixels", ylabel="seconds", title="a pair, and scenes")
    cost.legend()
    sizes = [batch.pairs for batch in found.batches]
    throughput.plot(sizes, [batch.described for batch in found.batches], marker="o", label="described")
    throughput.plot(sizes, [batch.masks for batch in found.batches], marker="s", label="masks")
    throughput.set(xlabel="batch", ylabel="pairs a second", title="throughput", ylim=(0, None))
    throughput.set_xscale("log", base=2)
    throughput.set_xticks(sizes, [str(size) for size in sizes])
    throughput.legend()
    figure.suptitle(f"{found.model}, {found.runtime}, {found.machine.cores} cores of {found.machine.cpu}")
    image = io.BytesIO()
    figure.savefig(image, format="png", dpi=120)
    return image.getvalue()
