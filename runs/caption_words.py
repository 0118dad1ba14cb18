"""Compares the sentences of procedural pairs with LEVIR-CC's training captions: distributions and their distances.

    python runs/caption_words.py .../levir_cc/captions.json [--pairs 4000] [--seed 1] [--top 14]

Of the captions file only the changed pairs of the split `train` are read. No image is drawn, so 4,000 pairs take about
a minute. A distance is the Jensen-Shannon distance to base 2: 0 alike, 1 nothing in common.
"""

from __future__ import annotations

import argparse
import json
import re
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path

from scipy.spatial.distance import jensenshannon

from semantic_cc.synth.procedural import plan_pair
from semantic_cc.synth.procedural.caption_writer import write_sentences
from semantic_cc.synth.procedural.pair_plan import generator

COUNTS = ("a|an|one|two|three|four|five|six|some|several|many|lots of|massive|few|more|a row of|rows of|two rows of"
          "|three rows of|four rows of|all|most of")  # fmt: skip
PLACES = ("top|upper|bottom|lower|left|right|middle|center|corner|side|sides|edge|lower-left|lower-right|end|front"
          "|around|beside|along|near|next to|among|between|across|on both sides|in place of|surrounded")  # fmt: skip
VERBS = ("built|constructed|appear|appears|appeared|removed|disappear|disappears|disappeared|replace|replaces|replaced"
         "|erected|show up|shows up|becomes|become|developed|completed|added|demolished|cut down|vanished|rebuilt"
         "|emerge|turned|expanded|widened|cleared|arranged|located|connected|scattered|surrounded|planted")  # fmt: skip
NOUNS = ("house|houses|building|buildings|villa|villas|road|roads|crossroad|path|parking lot|parking lots|pool|pools"
         "|tree|trees|woods|forest|plants|vegetation|bushes|bareland|desert|wasteland|grass|grassland|meadow|land"
         "|open space|clearing|residential area|area|scene|corner|roadside|lake|cars|street|sides")  # fmt: skip


def matches(words: str) -> Callable[[str], list[str]]:
    """Finds any of `words`, the longest first."""
    longest = sorted(words.split("|"), key=len, reverse=True)
    return re.compile(rf"(?<![\w-])(?:{'|'.join(longest)})(?![\w-])").findall


FEATURES: dict[str, Callable[[str], list[str]]] = {
    "words in a sentence": lambda text: [str(len(text.split()))],
    "first three words": lambda text: [" ".join(text.split()[:3])],
    "first word": lambda text: text.split()[:1],
    "count words": matches(COUNTS),
    "place words": matches(PLACES),
    "verbs": matches(VERBS),
    "nouns": matches(NOUNS),
    "all words": str.split,
}


def real_sentences(path: Path) -> list[str]:
    """The captions of the changed training pairs."""
    images = json.loads(path.read_text(encoding="utf-8"))["images"]
    chosen = [image for image in images if image["split"] == "train" and image["changeflag"]]
    return [" ".join(sentence["tokens"]) for image in chosen for sentence in image["sentences"]]


def synthetic_sentences(pairs: int, seed: int) -> list[str]:
    """The sentences of the changed pairs among the first `pairs` of a seed."""
    plans = ((index, plan_pair(seed, index)) for index in range(pairs))
    return [
        text
        for index, plan in plans
        if plan.changed
        for text in write_sentences(plan.events, generator(seed, index, 2))
    ]


def count(texts: Iterable[str], find: Callable[[str], list[str]]) -> Counter[str]:
    return Counter(found for text in texts for found in find(text))


def distance(one: Counter[str], other: Counter[str]) -> float:
    keys = sorted(one | other)
    return float(jensenshannon(*([counts[key] for key in keys] for counts in (one, other)), base=2))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("captions", type=Path, help="LEVIR-CC's captions file")
    parser.add_argument(
        "--pairs", type=int, default=4000, help="procedural pairs, half of them changed [4000]"
    )
    parser.add_argument("--seed", type=int, default=1, help="seed of the procedural pairs [1]")
    parser.add_argument("--top", type=int, default=14, help="commonest entries to print of each kind [14]")
    arguments = parser.parse_args()
    real = real_sentences(arguments.captions)
    synthetic = synthetic_sentences(arguments.pairs, arguments.seed)
    print(f"{len(real)} real sentences, {len(synthetic)} synthetic ones; each figure is per 100 sentences")
    distances = {}
    for name, find in FEATURES.items():
        ours, theirs = count(synthetic, find), count(real, find)
        distances[name] = distance(ours, theirs)
        print(f"\n{name:28} real  synth.")
        for key, _ in (theirs + ours).most_common(arguments.top):
            print(f"  {key:24} {100 * theirs[key] / len(real):6.1f} {100 * ours[key] / len(synthetic):6.1f}")
    print("\nJensen-Shannon distance")
    for name, value in distances.items():
        print(f"  {name:24} {value:6.3f}")


if __name__ == "__main__":
    main()
