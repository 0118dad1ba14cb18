"""Images whose bands GDAL presents in another way: a colour table as RGB, the right band as transparency."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree

from rasterio.io import DatasetReader, MemoryFile
from rasterio.shutil import copy

from semantic_cc.errors import ImageError
from semantic_cc.scene.gdal_files import one_line_errors, open_xml, settings


def with_alpha(dataset: DatasetReader, alpha: int | None, name: str) -> DatasetReader:
    """The same image with another band, or none, as transparency: GDAL's warper and masks go by the tag."""
    root = _as_vrt(dataset, name)
    for number, band in enumerate(root.findall("VRTRasterBand"), 1):
        colour = band.find("ColorInterp")
        if colour is None:
            colour = ElementTree.Element("ColorInterp")
            band.insert(0, colour)
        if number == alpha:
            colour.text = "Alpha"
        elif colour.text == "Alpha":
            colour.text = "Undefined"
    return open_xml(ElementTree.tostring(root, encoding="unicode"), name)


def expand_palette(dataset: DatasetReader, name: str) -> DatasetReader:
    """An image with a colour table as RGB, with transparency where an entry or the nodata value asks for it."""
    if dataset.count > 1:
        raise ImageError(f"{name}: has a colour table and {dataset.count} bands; expand it to RGB first")
    table, nodata = dataset.colormap(1), dataset.nodata
    root = _as_vrt(dataset, name)
    band = root.find("VRTRasterBand")
    assert band is not None
    sources = [child for child in band if child.tag.endswith("Source")]
    root.remove(band)
    clear = {index for index, entry in table.items() if entry[3] == 0} | (
        {int(nodata)} if nodata is not None else set()
    )
    for number, colour in enumerate(("Red", "Green", "Blue", *(["Alpha"] if clear else [])), 1):
        new = ElementTree.SubElement(root, "VRTRasterBand", dataType="Byte", band=str(number))
        ElementTree.SubElement(new, "ColorInterp").text = colour
        for source in sources:
            part = ElementTree.SubElement(new, "ComplexSource")
            part.extend(child for child in source if child.tag not in ("NODATA", "UseMaskBand"))
            if colour == "Alpha":
                steps = ",".join(f"{index}:{0 if index in clear else 255}" for index in range(256))
                ElementTree.SubElement(part, "LUT").text = steps
            else:
                ElementTree.SubElement(part, "ColorTableComponent").text = str(number)
    return open_xml(ElementTree.tostring(root, encoding="unicode"), name)


def _as_vrt(dataset: DatasetReader, name: str) -> ElementTree.Element:
    """A VRT of an image, parsed."""
    with one_line_errors(name), settings(name), MemoryFile(ext=".vrt") as memory:
        copy(dataset, memory.name, driver="VRT")
        return ElementTree.fromstring(memory.read())
