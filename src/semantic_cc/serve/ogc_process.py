"""Describes the one process of OGC API - Processes, and reads its inputs from an execute request."""

from __future__ import annotations

import base64
import binascii
import inspect
import io
from typing import get_args, get_type_hints

from fastapi.params import Form

from semantic_cc import __version__
from semantic_cc.errors import InputError
from semantic_cc.serve.job_request import JobRequest
from semantic_cc.serve.request_forms import read_request
from semantic_cc.serve.service_parts import UploadSource
from semantic_cc.types import Json

PROCESS = "describe-change"

CONFORMANCE = tuple(
    f"http://www.opengis.net/spec/ogcapi-processes-1/1.0/conf/{name}"
    for name in ("core", "ogc-process-description", "json", "oas30", "job-list", "dismiss")
)
"""Conformance classes of OGC 18-062r2."""

IMAGES = {"before": "the earlier image", "after": "the later image, of the same place"}

OUTPUTS: dict[str, tuple[str, dict[str, Json]]] = {
    "sentence": ("What changed, in one sentence", {"type": "string"}),
    "report": ("Figures, places and settings", {"type": "object", "contentMediaType": "application/json"}),
    "mask": (
        "Change mask: 0 no change, 128 road, 255 building, 1 unknown",
        {"type": "string", "contentMediaType": "image/tiff"},
    ),
    "changes": ("Change polygons", {"type": "string", "contentMediaType": "application/geo+json"}),
    "places": (
        "Places, each with a description",
        {"type": "string", "contentMediaType": "application/geo+json"},
    ),
}
"""Output -> title and schema; mask, changes and places are given by reference."""

_IMAGE_TYPES = ("image/tiff", "image/tiff; application=geotiff", "image/png", "image/jpeg", "image/jp2")
_TYPES = {bool: "boolean", float: "number", str: "string"}


def describe_process() -> dict[str, Json]:
    """The process description of OGC 18-062r2, without links; the options are those of `/v1/scenes`."""
    hints = get_type_hints(read_request, include_extras=True)
    inputs: dict[str, Json] = {name: _image_input(title) for name, title in IMAGES.items()}
    for name, parameter in inspect.signature(read_request).parameters.items():
        kind, form = get_args(hints[name])[:2]
        assert isinstance(form, Form)
        plain = next(part for part in (*get_args(kind), kind) if part in _TYPES)
        schema: dict[str, Json] = {"type": _TYPES[plain]}
        if parameter.default is not None:
            schema["default"] = parameter.default
        if form.examples:
            schema["examples"] = list(form.examples)
        inputs[name] = {"title": form.description, "schema": schema, "minOccurs": 0, "maxOccurs": 1}
    return {
        "id": PROCESS,
        "title": "Describe what changed between two images of the same place",
        "description": "Describes two plain or georeferenced images with a sentence, a mask, polygons and places.",
        "version": __version__,
        "keywords": ["remote sensing", "change detection", "change captioning"],
        "jobControlOptions": ["async-execute", "dismiss"],
        "outputTransmission": ["value", "reference"],
        "inputs": inputs,
        "outputs": {name: {"title": title, "schema": schema} for name, (title, schema) in OUTPUTS.items()},
    }


def read_execute(body: object) -> tuple[UploadSource, UploadSource, JobRequest]:
    """Both images and the options of an execute request.

    Raises:
        InputError: it is no execute request, an input is missing or unknown, or an image is given by another
            reference than a data: URL.
    """
    if not isinstance(body, dict) or not isinstance(body.get("inputs"), dict):
        raise InputError("give a JSON object with the key inputs; the process description lists them")
    inputs = dict(body["inputs"])
    images = [_read_image(name, inputs.pop(name, None)) for name in IMAGES]
    _check_outputs(body.get("outputs"))
    known = inspect.signature(read_request).parameters
    values: dict[str, object] = {}
    for name, value in inputs.items():
        if name not in known:
            raise InputError(f"inputs.{name}: the process has no such input; its description lists them")
        values[name] = _read_option(name, value, known[name].default)
    return images[0], images[1], JobRequest(**values)  # type: ignore[arg-type]


def _image_input(title: str) -> Json:
    kinds: list[Json] = [
        {"type": "string", "contentEncoding": "base64", "contentMediaType": kind} for kind in _IMAGE_TYPES
    ]
    return {"title": title, "schema": {"oneOf": kinds}, "minOccurs": 1, "maxOccurs": 1}


def _read_image(name: str, value: object) -> UploadSource:
    if isinstance(value, dict) and isinstance(value.get("href"), str):
        head, comma, text = value["href"].partition(",")
        if not head.startswith("data:") or not head.endswith(";base64") or not comma:
            raise InputError(
                f"inputs.{name}: this service fetches nothing from other hosts; give the image as a value in base64 "
                "or as a data: URL"
            )
    else:
        text = value.get("value") if isinstance(value, dict) else value
    if not isinstance(text, str):
        raise InputError(f"inputs.{name}: give the image as a string in base64")
    try:
        return io.BytesIO(base64.b64decode("".join(text.split()), validate=True)), name
    except (binascii.Error, ValueError) as error:
        raise InputError(f"inputs.{name}: is not base64 ({error}); encode the file's bytes") from error


def _read_option(name: str, value: object, default: object) -> object:
    if isinstance(value, dict) and "value" in value:
        value = value["value"]
    if isinstance(default, bool):
        if not isinstance(value, bool):
            raise InputError(f"inputs.{name}: give true or false")
        return value
    if name == "resolution":
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise InputError(f"inputs.{name}: give a number of metres")
        try:
            return float(value)
        except OverflowError as error:  # a whole number of 309 digits or more
            raise InputError(f"inputs.{name}: is too large; give a number of metres") from error
    if not isinstance(value, str):
        raise InputError(f"inputs.{name}: give a string")
    return value


def _check_outputs(outputs: object) -> None:
    if outputs is None:
        return
    if not isinstance(outputs, dict):
        raise InputError("outputs: give a JSON object")
    for name in outputs:
        if name not in OUTPUTS:
            raise InputError(f"outputs.{name}: the process has no such output; its description lists them")
