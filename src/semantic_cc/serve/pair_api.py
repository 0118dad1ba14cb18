"""`POST /v1/describe`: a pair of plain images, answered at once."""

from __future__ import annotations

import asyncio
import base64
import io
import math
import time
from concurrent.futures import Future
from typing import Annotated, Literal

import anyio.to_thread
import numpy as np
from fastapi import APIRouter, Form, Request
from PIL import Image

from semantic_cc import __version__
from semantic_cc.errors import ImageError
from semantic_cc.images import read_pair
from semantic_cc.serve.api_types import ClassArea, ModelName, PairDescription
from semantic_cc.serve.model_queue import QueueFullError
from semantic_cc.serve.problems import Problem, responses
from semantic_cc.serve.request_forms import After, Before, Instruction
from semantic_cc.serve.service_parts import Client, Parts, ServiceParts, UploadSource
from semantic_cc.types import ChangeDescription

ASK_SECONDS = 0.25
"""Seconds between two checks whether the client is still connected."""

pair_router = APIRouter(prefix="/v1", tags=["pairs"])


@pair_router.post(
    "/describe",
    responses=responses(400, 401, 408, 413, 422, 429, 503, 507),
    summary="Describe a pair of plain images",
)
async def describe(
    request: Request,
    parts: Parts,
    client: Client,
    before: Before,
    after: After,
    instruction: Instruction = None,
    mask: Annotated[
        Literal["base64", "none"], Form(description="whether the answer contains the mask")
    ] = "base64",
) -> PairDescription:
    """Returns the sentence, the change flag with its probability, the area of each class, and the mask.

    Images that are georeferenced, have more bits or bands than 8-bit RGB, or have more than `pair_pixels` pixels are
    scenes: send them to `/v1/scenes`.
    """
    start = time.perf_counter()
    if instruction is not None and instruction.strip() == "":
        instruction = None
    earlier, later, notes = await anyio.to_thread.run_sync(
        _read, parts, (before.file, before.filename), (after.file, after.filename)
    )
    try:
        future = parts.queue.describe(earlier, later, instruction or parts.instruction)
    except QueueFullError as error:
        raise Problem(
            429,
            f"{parts.queue.waiting} pairs wait for the model; try again later",
            retry_after=max(1, math.ceil(error.seconds)),
        ) from error
    found = await _wait(future, request, parts.settings.pair_seconds)
    return await anyio.to_thread.run_sync(_result, found, notes, mask == "base64", start)


def _read(
    parts: ServiceParts, before: UploadSource, after: UploadSource
) -> tuple[np.ndarray, np.ndarray, tuple[str, ...]]:
    """Both images as (H, W, 3) uint8 RGB, and the notes on them; the files are gone afterwards."""
    folder, *uploads = parts.save_pair(before, after)
    try:
        if parts.kind_of(uploads) == "scene":
            names = " or ".join(upload.name for upload in uploads)
            raise ImageError(
                f"{names} is georeferenced, or has more than 8-bit RGB or {parts.settings.pair_pixels:,} pixels: send "
                "the pair to /v1/scenes"
            )
        earlier, later, notes = read_pair(folder.before, folder.after, check=True)
        return earlier, later, tuple(folder.without_paths(note) for note in notes)
    except ImageError as error:
        raise ImageError(folder.without_paths(str(error))) from error
    finally:
        folder.remove()


async def _wait(future: Future[ChangeDescription], request: Request, seconds: float) -> ChangeDescription:
    """The future's result; the work is taken back when the client goes or the time is up."""
    waiting = asyncio.wrap_future(future)
    deadline = time.monotonic() + seconds
    try:
        while time.monotonic() < deadline:
            done, _ = await asyncio.wait({waiting}, timeout=ASK_SECONDS)
            if done:
                return waiting.result()
            if await request.is_disconnected():
                raise Problem(503, "the client has gone")
    except asyncio.CancelledError as error:
        raise Problem(503, "the service is shutting down; try again", retry_after=10) from error
    finally:
        waiting.cancel()
    raise Problem(
        503, f"the model did not answer within {seconds:g} seconds; try again later", retry_after=10
    )


def _result(
    found: ChangeDescription, notes: tuple[str, ...], with_mask: bool, start: float
) -> PairDescription:
    height, width = found.heatmap.shape
    classes, mask_png = None, None
    if found.mask is not None:
        classes = {}
        for value, name in found.classes.items():
            pixels = int((found.mask == value).sum())
            classes[name] = ClassArea(pixels=pixels, share=pixels / found.mask.size)
        if with_mask:
            buffer = io.BytesIO()
            Image.fromarray(found.mask).save(buffer, format="PNG")
            mask_png = base64.b64encode(buffer.getvalue()).decode()
    return PairDescription(
        sentence=found.sentence,
        changed=found.changed,
        change_probability=found.change_probability,
        changed_share=found.changed_share,
        classes=classes,
        width=width,
        height=height,
        mask_png=mask_png,
        notes=[*notes, *found.notes],
        model=ModelName(name=found.model.name, digest=found.model.digest),
        milliseconds=round(1000 * (time.perf_counter() - start), 1),
        version=__version__,
    )
