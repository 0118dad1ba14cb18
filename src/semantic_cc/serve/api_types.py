"""The JSON objects of the service, for its OpenAPI document."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field

from semantic_cc.serve.job_store import JobState


class ModelName(BaseModel):
    """Which model gave a result."""

    name: str = Field(examples=["small"])
    digest: str = Field(description="sha256 of its weights")


class ClassArea(BaseModel):
    """How much of one class changed."""

    pixels: int
    share: float = Field(description="of all pixels, 0 to 1")


class PairDescription(BaseModel):
    """The description of a pair of plain images."""

    sentence: str = Field(examples=["two buildings are built beside the road"])
    changed: bool
    change_probability: float | None = Field(description="0 to 1; null for a model without a flag head")
    changed_share: float | None = Field(description="share of changed pixels, 0 to 1; null without a mask")
    classes: dict[str, ClassArea] | None = Field(description="class name -> its changes; null without a mask")
    width: int
    height: int
    mask_png: str | None = Field(
        description="PNG in base64: 0 none, 128 road, 255 building; null without a mask, or if mask=none was asked"
    )
    notes: list[str]
    model: ModelName
    milliseconds: float = Field(description="from the received request to the answer")
    version: str


class Link(BaseModel):
    """A link, as in OGC API."""

    href: str
    rel: str
    type: str | None = None
    title: str | None = None


class JobStatus(BaseModel):
    """A job, with the properties of OGC API - Processes' statusInfo."""

    jobID: str = Field(description="random; anyone who has it can read the job")
    type: Literal["process"] = "process"
    processID: Literal["describe-change"] = "describe-change"
    kind: Literal["pair", "scene"]
    status: JobState
    message: str = Field(description="why it failed; empty otherwise")
    step: str = Field(description="what runs: windows, places, map; empty before and after")
    done: int = Field(description="of the step")
    total: int = Field(description="of the step")
    progress: int = Field(description="percent of the step", ge=0, le=100)
    eta_seconds: int | None = Field(description="seconds that the step still takes; null while not known")
    created: str
    started: str | None
    finished: str | None
    updated: str
    files: list[str] = Field(description="names of the result files")
    links: list[Link]


class JobList(BaseModel):
    """Jobs, the newest first."""

    jobs: list[JobStatus]
    links: list[Link]


class TileJson(BaseModel):
    """TileJSON 3.0.0 of a layer."""

    tilejson: Literal["3.0.0"] = "3.0.0"
    scheme: Literal["xyz"] = "xyz"
    tiles: list[str]
    bounds: tuple[float, float, float, float]
    minzoom: int
    maxzoom: int
    crs: str | None = Field(description="EPSG:3857; null for tiles of the image's own pixels")
