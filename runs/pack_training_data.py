"""Packs the real training pairs into one archive that travels to a machine with an accelerator.

    python runs/pack_training_data.py DATA data/training.tar.gz    # DATA holds levir/, levir_cc/ and guangzhou/
    mkdir data/pack && tar xf data/training.tar.gz -C data/pack    # on the other machine
    python data/pack/levir/cut.py data/levir                       # crops in the layouts of LEVIR-MCI and LEVIR-CD

The images are compressed again, as WebP. Masks stay as they are. Only captions of training and validation scenes are
packed: no development scene leaves this machine. The pictures are for research use only: keep the archive in an
ignored folder, and never commit it.
"""

import argparse
import io
import json
import tarfile
from pathlib import Path

from PIL import Image


def images(data: Path) -> list[Path]:
    """The photographs to be packed, without the development scenes."""
    folders = ("levir/train", "levir/half", "guangzhou")
    return sorted(path for folder in folders for date in "AB" for path in (data / folder / date).iterdir())


def other_files(data: Path) -> dict[str, bytes]:
    """Masks, the script that cuts the scenes with its tables, and the captions of the scenes that are packed."""
    script = (data / "levir/cut.py").read_text("utf-8")
    paths = [
        *(data / "levir/half").glob("*.json"),
        *(
            path
            for folder in ("levir/train", "levir/half", "guangzhou")
            for path in (data / folder / "label").iterdir()
        ),
    ]
    content = json.loads((data / "levir_cc/captions.json").read_text("utf-8"))
    content["images"] = [entry for entry in content["images"] if entry["split"] != "test"]
    files = {str(path.relative_to(data)): path.read_bytes() for path in paths}
    files["levir/cut.py"] = script.replace("jpg", "webp").encode()
    return files | {"levir_cc/captions.json": json.dumps(content, separators=(",", ":")).encode()}


def compressed(path: Path, quality: int) -> bytes:
    """An image as WebP."""
    buffer = io.BytesIO()
    with Image.open(path) as image:
        image.convert("RGB").save(buffer, "WEBP", quality=quality, method=4)
    return buffer.getvalue()


def main() -> None:
    """Writes the archive."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument(
        "--quality", type=int, default=66, help="of WebP, 0 to 100; 66 makes less than 60 MiB"
    )
    args = parser.parse_args()
    files, paths = other_files(args.data), images(args.data)
    work = args.out.with_name(args.out.name + ".part")
    with tarfile.open(work, "w:gz", compresslevel=1) as archive:
        for name, content in files.items():
            add(archive, name, content)
        for path in paths:
            add(
                archive, str(path.relative_to(args.data).with_suffix(".webp")), compressed(path, args.quality)
            )
    work.rename(args.out)
    print(
        f"{args.out}: {args.out.stat().st_size / 2**20:.1f} MiB, {len(paths)} images at quality {args.quality}"
    )


def add(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    """One file of the archive."""
    info = tarfile.TarInfo(name)
    info.size = len(content)
    archive.addfile(info, io.BytesIO(content))


if __name__ == "__main__":
    main()
