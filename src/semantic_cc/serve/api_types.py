"""The JSON objects of the service, for its OpenAPI document."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field

from semantic_cc.serve.job_store import JobState


class ModelName(BaseModel):
    """The model that produced a result."""

    name: str = Field(examples=["small"])
    digest: str = Field(description="SHA-256 of its weights")


class ClassArea(BaseModel):
    """How much of one class changed."""

    pixels: int
    share: float = Field(description="share of all pixels, 0 to 1")


class PairDescription(BaseModel):
    """The description of a pair of plain images."""

    sentence: str = Field(examples=["two buildings are built beside the road"])
    changed: bool
    change_probability: float | None = Field(
        description="probability that anything changed, 0 to 1; null for a model without a flag head"
    )
    changed_share: float | None = Field(description="share of changed pixels, 0 to 1; null without a mask")
    classes: dict[str, ClassArea] | None = Field(description="class name -> its changes; null without a mask")
    width: int
    height: int
    mask_png: str | None = Field(
        description="PNG in base64: 0 no change, 128 road, 255 building; null without a mask, or with mask=none"
    )
    notes: list[str]
    model: ModelName
    milliseconds: float = Field(description="time from the request to the answer")
    version: str


class Link(BaseModel):
    """A link, as in OGC API."""

    href: str
    rel: str
    type: str | None = None
    title: str | None = None


class JobStatus(BaseModel):
    """A job, with the properties of OGC API - Processes' statusInfo."""

    jobID: str = Field(description="random id; anyone who has it can read the job")
    type: Literal["process"] = "process"
    processID: Literal["describe-change"] = "describe-change"
    kind: Literal["pair", "scene"]
    status: JobState
    message: str = Field(description="why the job failed; empty otherwise")
    step: str = Field(description="the running step: windows, places or map; empty if the job is not running")
    done: int = Field(description="number of finished parts of the step, such as windows")
    total: int = Field(description="number of parts of the step")
    progress: int = Field(description="progress of the step in percent", ge=0, le=100)
    eta_seconds: int | None = Field(description="estimated seconds until the step ends; null if unknown")
    created: str
    started: str | None
    finished: str | None
    updated: str
    files: list[str] = Field(description="names of the result files")
    links: list[Link]


class JobList(BaseModel):
    """A list of jobs, the newest first."""

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
    crs: str | None = Field(description="EPSG:3857; null if the tiles use the image's own pixels")
