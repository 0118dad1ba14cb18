"""The checks of a whole dataset that are made before long work: sizes of images and masks, values of labels.

Labels are decoded; of the images the headers are read. That takes seconds for thousands of pairs.
"""

from __future__ import annotations

from dataclasses import replace

from semantic_cc.data.items import ChangeDataset, Item, image_size
from semantic_cc.data.labels import in_threads, read_label
from semantic_cc.data.progress_callback import Progress, counter
from semantic_cc.errors import DataError


def check_dataset(dataset: ChangeDataset, progress: Progress | None = None) -> None:
    """Checks every item of a dataset, each file once.

    Args:
        dataset: an opened dataset; opening it has checked names and missing files.
        progress: called with the number of files checked and of all.

    Raises:
        DataError: naming the first file, in the dataset's order, that cannot be read, has another size than the rest
            of its pair, or is a label with a value that `read_label` refuses.

    Example:
        >>> check_dataset(open_dataset("LEVIR-MCI", "train"))  # doctest: +SKIP
    """
    scenes = list(dict.fromkeys(replace(item, name="", sentences=(), box=None) for item in dataset.items))
    advance = counter(len(scenes), progress)
    for fault in in_threads(item_fault, scenes):
        if fault is not None:
            raise fault
        advance()


def item_fault(item: Item) -> DataError | None:
    """What is wrong with the files of an item: sizes that differ, or a label that cannot be read; None if nothing."""
    try:
        before, after = image_size(item.before), image_size(item.after)
        if before != after:
            return _differ(item.after, after, before)
        if item.label is not None:
            height, width = read_label(item.label, item.classes).shape
            if (width, height) != before:
                return _differ(item.label, (width, height), before)
    except DataError as error:
        return error
    return None


def _differ(path: str, size: tuple[int, int], images: tuple[int, int]) -> DataError:
    return DataError(
        f"{path}: has {size[0]}x{size[1]} pixels, the before image {images[0]}x{images[1]}; cut all images and the "
        "mask of a pair to one size"
    )
