"""Load test of a running service: pairs, scenes, broken files and dropped connections from many clients.

Prints throughput and latency of the pairs beside the throughput of the engine, and checks that every request got an
answer and that every accepted job ended. The engine is the same model, loaded here and given full batches; it is timed
before each round and after the last one, while the service is idle, so that other work on the machine hits both:

    semantic-cc serve --port 8000 --client-jobs 100000 --job-queue 100000 --pair-queue 1000 &
    python runs/load_test.py http://127.0.0.1:8000 BEFORE.png AFTER.png BEFORE.tif AFTER.tif --clients 100 --seconds 180
"""

import argparse
import asyncio
import io
import random
import re
import socket
import time
from collections import Counter
from pathlib import Path
from urllib.parse import urlsplit

import httpx2
import numpy as np
from PIL import Image

from semantic_cc import SemanticCC

ENGINE_SECONDS = 15.0
"""Of each timing of the engine."""

PATIENCE = 330.0
"""Seconds that an answer may take; a request without one by then is lost."""


class Load:
    """What the clients did, and what came back."""

    def __init__(self, pair: list[bytes], scene: list[bytes]) -> None:
        self.pair, self.scene = pair, scene
        self.answers: Counter[str] = Counter()
        self.seconds: list[float] = []
        self.jobs: list[str] = []
        self.lost = 0


def form(images: list[bytes], suffix: str) -> dict[str, tuple[str, bytes]]:
    return {
        role: (f"{role}.{suffix}", content) for role, content in zip(("before", "after"), images, strict=True)
    }


async def client(
    http: httpx2.AsyncClient, load: Load, end: float, chance: random.Random, address: str
) -> None:
    """One client: mostly pairs, now and then something else."""
    while time.monotonic() < end:
        kind = chance.choices(["pair", "scene", "bad", "drop"], [90, 1, 6, 3])[0]
        if kind == "drop":
            await asyncio.to_thread(drop, address)
            load.answers["dropped"] += 1
            continue
        target, images, suffix = {
            "pair": ("/v1/describe", load.pair, "png"),
            "scene": ("/v1/scenes", load.scene, "tif"),
            "bad": ("/v1/describe", [load.pair[0][: chance.randrange(200)], load.pair[1]], "png"),
        }[kind]
        start = time.monotonic()
        try:
            answer = await http.post(
                target, files=form(images, suffix), data={"mask": "none"} if kind == "pair" else {}
            )
        except httpx2.HTTPError:
            load.lost += 1
            continue
        load.answers[f"{kind} {answer.status_code}"] += 1
        if answer.status_code == 200:
            load.seconds.append(time.monotonic() - start)
        if answer.status_code == 201:
            load.jobs.append(answer.json()["jobID"])
        if answer.status_code in (429, 503):
            await asyncio.sleep(min(5, int(answer.headers["retry-after"])) * chance.uniform(0.5, 1))


def drop(address: str) -> None:
    """Begins an upload and hangs up."""
    place = urlsplit(address)
    with socket.create_connection((place.hostname, place.port), timeout=10) as connection:
        head = "POST /v1/describe HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n"
        connection.sendall(f"{head}Content-Type: multipart/form-data; boundary=b\r\n\r\n--b\r\n".encode())


async def memory(http: httpx2.AsyncClient) -> float:
    """Resident megabytes of the service."""
    found = re.search(
        r"^process_resident_memory_bytes (\S+)", (await http.get("/metrics")).text, re.MULTILINE
    )
    return float(found[1]) / 1e6 if found else float("nan")


class Engine:
    """The model without a service, timed with full batches of one pair."""

    def __init__(self, name: str, pair: list[bytes], batch: int) -> None:
        self.model = SemanticCC.from_pretrained(name)
        images = [np.asarray(Image.open(io.BytesIO(content)).convert("RGB")) for content in pair]
        self.before, self.after = (np.stack([image] * batch) for image in images)
        self.pairs, self.seconds = 0, 0.0
        self.model.describe_batch(self.before, self.after)

    def run(self, seconds: float) -> None:
        start = time.monotonic()
        while time.monotonic() - start < seconds:
            self.model.describe_batch(self.before, self.after)
            self.pairs += len(self.before)
        self.seconds += time.monotonic() - start


async def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("address")
    parser.add_argument("images", nargs=4, type=Path, metavar="IMAGE")
    parser.add_argument("--clients", type=int, default=100)
    parser.add_argument("--seconds", type=float, default=180)
    parser.add_argument(
        "--rounds", type=int, default=3, help="parts of --seconds, with the engine timed around them"
    )
    parser.add_argument("--model", default="small", help="the service's --model")
    parser.add_argument("--batch", type=int, default=8, help="the service's --pair-batch")
    arguments = parser.parse_args()
    contents = [path.read_bytes() for path in arguments.images]
    load, engine = Load(contents[:2], contents[2:]), Engine(arguments.model, contents[:2], arguments.batch)
    limits = httpx2.Limits(max_connections=arguments.clients + 8)
    seconds, used, states = 0.0, [], Counter()
    async with httpx2.AsyncClient(base_url=arguments.address, timeout=PATIENCE, limits=limits) as http:
        for number in range(arguments.rounds):
            engine.run(ENGINE_SECONDS)
            start = time.monotonic()
            end = start + arguments.seconds / arguments.rounds
            clients = (random.Random(1000 * number + n) for n in range(arguments.clients))
            await asyncio.gather(*(client(http, load, end, chance, arguments.address) for chance in clients))
            seconds += time.monotonic() - start
            states += Counter([await job_end(http, job) for job in load.jobs])
            load.jobs.clear()
            used.append(await memory(http))
        engine.run(ENGINE_SECONDS)
    engine_rate = engine.pairs / engine.seconds
    pairs = sorted(load.seconds)
    rate = len(pairs) / seconds
    print(f"answers        {dict(sorted(load.answers.items()))}")
    print(f"lost           {load.lost}")
    print(
        f"pairs          {len(pairs)} in {seconds:.0f} s, {rate:.2f} a second, "
        f"{rate / engine_rate:.0%} of the engine's {engine_rate:.2f}"
    )
    if pairs:
        print(f"latency        p50 {pairs[len(pairs) // 2]:.2f} s, p95 {pairs[int(0.95 * len(pairs))]:.2f} s")
    print(f"memory         {', '.join(f'{size:.0f}' for size in used)} MB after each round")
    print(f"jobs           {dict(states)}")
    broken = load.lost or any(name.endswith(" 500") for name in load.answers) or set(states) - {"successful"}
    return int(bool(broken))


async def job_end(http: httpx2.AsyncClient, job: str) -> str:
    while True:
        status = (await http.get(f"/v1/jobs/{job}")).json()["status"]
        if status not in ("accepted", "running"):
            return status
        await asyncio.sleep(0.5)


if __name__ == "__main__":
    raise SystemExit(asyncio.run(main()))
