"""Runs every step of the Dockerfile without a container engine: in copies of a bare Debian root, by chroot.

It builds both stages and starts the service as the image does: with its user, a read-only root file system, no
capabilities, and only /data writable. It waits for the health check, describes the bundled pair, and stops the service.
Needs root, debootstrap and util-linux:

    debootstrap --variant=minbase --include=ca-certificates,python3,python3-venv,python-is-python3 bookworm BASE
    python runs/prove_dockerfile.py BASE WORK

BASE stands for python:3.11-slim (Debian 12 has Python 3.11). WORK gets the stages, and can be deleted afterwards.
"""

import argparse
import json
import os
import shlex
import shutil
import signal
import subprocess
import time
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path

CONTEXT = Path(__file__).parents[1]
HEALTHY_WITHIN = 600.0
"""Seconds from the start to the first good health check."""


@dataclass
class Stage:
    """What an image holds besides its files."""

    root: Path
    environment: dict[str, str] = field(default_factory=dict)
    folder: str = "/"
    user: str = "root"
    volumes: list[str] = field(default_factory=list)
    entrypoint: list[str] = field(default_factory=list)
    command: list[str] = field(default_factory=list)
    health: list[str] = field(default_factory=list)


def instructions(path: Path) -> list[tuple[str, str]]:
    """Pairs of keyword and rest; continued lines are one."""
    lines = [line for line in path.read_text().splitlines() if line and not line.startswith("#")]
    joined = "\n".join(lines).replace("\\\n", " ")
    return [(line.split(maxsplit=1)[0], line.split(maxsplit=1)[1]) for line in joined.splitlines()]


def inside(stage: Stage, script: str, given: argparse.Namespace) -> list[str]:
    """A shell script with the stage as its root, in mount and process namespaces of its own."""
    mounts = [f"mount -t proc proc {stage.root}/proc", f"mount --rbind /dev {stage.root}/dev"]
    for mount in ["/etc/resolv.conf:/etc/resolv.conf", *given.mount]:
        source, _, target = mount.partition(":")
        place = f"{stage.root}{target}"
        make = f"mkdir -p {place}" if Path(source).is_dir() else f"install -D /dev/null {place}"
        mounts.append(f"{{ test -e {place} || {make}; }} && mount --bind -o ro {source} {place}")
    whole = " && ".join([*mounts, script])
    return ["unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-ec", whole]


def build(given: argparse.Namespace) -> Stage:
    """The last stage, after all steps."""
    stages: list[Stage] = []
    names: dict[str, Stage] = {}
    arguments = dict(argument.split("=", 1) for argument in given.build_arg)
    for keyword, rest in instructions(CONTEXT / "Dockerfile"):
        print(f"{keyword} {rest}", flush=True)
        if keyword == "FROM":
            stages.append(Stage(given.work / f"stage{len(stages)}"))
            subprocess.run(["cp", "-a", given.base, stages[-1].root], check=True)
            names[rest.split()[-1]] = stages[-1]
            continue
        stage = stages[-1]
        if keyword == "ARG":
            name, _, default = rest.partition("=")
            stage.environment[name] = arguments.get(name, default)
        elif keyword == "ENV":
            for pair in shlex.split(rest):
                name, _, value = pair.partition("=")
                stage.environment[name] = value.replace(
                    "$PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
                )
        elif keyword == "WORKDIR":
            stage.folder = rest
            (stage.root / rest.lstrip("/")).mkdir(parents=True, exist_ok=True)
        elif keyword == "COPY":
            copy(stage, rest.split(), names)
        elif keyword == "RUN":
            variables = {**dict(argument.split("=", 1) for argument in given.build_env), **stage.environment}
            script = f"cd {shlex.quote(stage.folder)} && {rest}"
            chroot = f"exec chroot {stage.root} sh -ec {shlex.quote(script)}"
            subprocess.run(inside(stage, chroot, given), env=environment(variables), check=True)
        elif keyword == "USER":
            stage.user = rest
        elif keyword == "VOLUME":
            stage.volumes.append(rest)
        elif keyword == "HEALTHCHECK":
            stage.health = json.loads(rest.split("CMD", 1)[1])
        elif keyword in ("ENTRYPOINT", "CMD"):
            setattr(stage, "entrypoint" if keyword == "ENTRYPOINT" else "command", json.loads(rest))
        elif keyword != "EXPOSE":
            raise SystemExit(f"{keyword}: not known here")
    return stages[-1]


def copy(stage: Stage, words: list[str], names: dict[str, Stage]) -> None:
    """COPY, from the build context or another stage."""
    source = CONTEXT
    if words[0].startswith("--from="):
        source = names[words.pop(0).removeprefix("--from=")].root
    *froms, to = words
    target = stage.root / os.path.join(stage.folder, to).lstrip("/")
    for name in froms:
        path = source / name.lstrip("/")
        if path.is_dir():
            shutil.copytree(
                path, target, symlinks=True, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__")
            )
        else:
            shutil.copy2(path, target)


def environment(added: dict[str, str]) -> dict[str, str]:
    return {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root", **added}


def serve(stage: Stage, given: argparse.Namespace) -> None:
    """Starts the service, waits until it is healthy, and describes a pair."""
    root = stage.root
    reading = f"mount --bind {root} {root} && mount -o remount,bind,ro {root}"
    (group,) = [user[3] for user in users(root) if user[2] == stage.user]
    volumes = [(given.work / f"volume{number}", place) for number, place in enumerate(stage.volumes)]
    for volume, place in volumes:
        subprocess.run(["cp", "-a", f"{root}{place}", volume], check=True)
    writable = " && ".join(f"mount --bind {volume} {root}{place}" for volume, place in volumes)
    limited = ["setpriv", f"--reuid={stage.user}", f"--regid={group}", "--clear-groups", "--bounding-set=-all",
               "--inh-caps=-all", "--no-new-privs"]  # fmt: skip
    enter = f"chroot {root} {shlex.join(limited)}"
    command = shlex.join([*stage.entrypoint, *stage.command])
    script = inside(stage, f"{writable} && exec {enter} {command}", given)
    script[-1] = f"{reading} && {script[-1]}"
    process = subprocess.Popen(
        script, env=environment({**stage.environment, "HOME": stage.volumes[0]}), cwd="/"
    )
    try:
        start = time.monotonic()
        while not healthy(process, stage, enter):
            if process.poll() is not None or time.monotonic() - start > HEALTHY_WITHIN:
                raise SystemExit("the service is not healthy")
            time.sleep(1)
        print(f"healthy after {time.monotonic() - start:.0f} s", flush=True)
        for path in ("/", "/opt/semantic-cc", "/tmp", "/etc"):
            if entered(process, f"{enter} touch {path}/written").returncode == 0:
                raise SystemExit(f"{path} can be written")
        print("user", entered(process, f"{enter} id").stdout.strip())
        print(json.dumps({k: v for k, v in describe().items() if k != "mask_png"}, indent=1))
        os.kill(child_of(process), signal.SIGTERM)
        print("exit code after SIGTERM", process.wait(30))
    finally:
        if process.poll() is None:
            os.kill(
                child_of(process), signal.SIGKILL
            )  # the first process of its namespace: all others end with it
            process.wait()


def users(root: Path) -> list[list[str]]:
    return [line.split(":") for line in (root / "etc/passwd").read_text().splitlines()]


def child_of(process: subprocess.Popen) -> int:
    (child,) = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    return int(child)


def entered(process: subprocess.Popen, command: str) -> subprocess.CompletedProcess:
    """Runs a command in the service's namespaces."""
    return subprocess.run(["nsenter", "--target", str(child_of(process)), "--mount", "--pid", "sh", "-c", command],
                          capture_output=True, text=True, check=False)  # fmt: skip


def healthy(process: subprocess.Popen, stage: Stage, enter: str) -> bool:
    variables = shlex.join(f"{name}={value}" for name, value in stage.environment.items())
    try:
        done = entered(process, f"{enter} env {variables} {shlex.join(stage.health)}")
    except (OSError, ValueError):  # it starts still
        return False
    return done.returncode == 0


def describe() -> dict:
    """The service's answer to the bundled pair."""
    boundary, parts = "part", []
    for role in ("before", "after"):
        image = (CONTEXT / f"src/semantic_cc/cli/demo_pair/{role}.png").read_bytes()
        head = f'--{boundary}\r\nContent-Disposition: form-data; name="{role}"; filename="{role}.png"\r\n\r\n'
        parts.append(head.encode() + image + b"\r\n")
    body = b"".join(parts) + f"--{boundary}--\r\n".encode()
    headers = {"Content-Type": f"multipart/form-data; boundary={boundary}"}
    request = urllib.request.Request("http://127.0.0.1:8000/v1/describe", body, headers)
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("base", type=Path)
    parser.add_argument("work", type=Path)
    parser.add_argument("--build-arg", action="append", default=[], metavar="NAME=VALUE")
    parser.add_argument(
        "--build-env", action="append", default=[], metavar="NAME=VALUE", help="environment of RUN steps"
    )
    parser.add_argument(
        "--mount", action="append", default=[], metavar="FROM:TO", help="read-only in every step"
    )
    given = parser.parse_args()
    given.work.mkdir(parents=True)
    serve(build(given), given)
