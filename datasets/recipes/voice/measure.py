"""Listens to the recordings with whisper-tiny.en and in numbers, and prints what the card of the set says.

    python measure.py FOLDER WHISPER [--each]

FOLDER holds manifest.toml; WHISPER is a CTranslate2 folder of whisper-tiny.en (see README.md).
Exits with 1 if the set breaks a promise of its card.
"""

import argparse
import hashlib
import re
import tomllib
from collections import defaultdict
from pathlib import Path

import numpy as np
import soundfile

import script

LIMIT = 8_000_000  # bytes of all recordings
LUHN_FAILS = "4539 1488 0343 6468"  # the only card whose check digit is wrong, on purpose
SPELLINGS = {"neighbour": "neighbor", "tyre": "tire", "ok": "okay", "mr": "mister"}


def words(text: str) -> list[str]:
    """Lower case, no punctuation, American spelling. Figures stay figures."""
    plain = re.sub(r"[^a-z0-9' ]+", " ", text.lower().replace("’", "'"))
    return [SPELLINGS.get(w, w) for w in plain.split()]


def edits(said: list[str], heard: list[str]) -> int:
    """Levenshtein distance in words."""
    row = list(range(len(heard) + 1))
    for i, a in enumerate(said, 1):
        diagonal, row[0] = row[0], i
        for j, b in enumerate(heard, 1):
            diagonal, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, diagonal + (a != b))
    return row[-1]


class Tally:
    def __init__(self) -> None:
        self.recordings = self.words = self.errors = 0

    def add(self, count: int, errors: int) -> None:
        self.recordings += 1
        self.words += count
        self.errors += errors

    def __str__(self) -> str:
        share = f"{100 * self.errors / self.words:.1f} %" if self.words else "-"
        return f"{self.recordings} | {self.words} | {self.errors} | {share}"


def sound_of(path: Path) -> dict:
    samples, rate = soundfile.read(path, always_2d=True)
    mono = samples.mean(axis=1)
    frame = rate // 50
    frames = mono[: len(mono) // frame * frame].reshape(-1, frame)
    loud = np.sqrt((frames**2).mean(axis=1)) > 10 ** (-45 / 20)
    voiced = np.flatnonzero(loud)
    edges = (voiced[0] / 50, (len(loud) - 1 - voiced[-1]) / 50) if len(voiced) else (0.0, 0.0)
    return {
        "seconds": len(samples) / rate,
        "peak": float(np.abs(samples).max()),
        "rms": float(np.sqrt((mono**2).mean())),
        "silent": 1 - float(loud.mean()),
        "edges": edges,
    }


def luhn(number: str) -> bool:
    digits = [int(c) for c in reversed(number) if c.isdigit()]
    return sum(d if i % 2 == 0 else sum(divmod(2 * d, 10)) for i, d in enumerate(digits)) % 10 == 0


def complaints(row: dict, take: script.Take, sound: dict, path: Path) -> list[str]:
    found = []
    if hashlib.sha256(path.read_bytes()).hexdigest() != row["sha256"]:
        found.append("is not the file of the manifest: sha256 differs")
    if abs(sound["seconds"] - row["seconds"]) > 0.01:
        found.append(f"lasts {sound['seconds']:.3f} s, the manifest says {row['seconds']}")
    if sound["peak"] > 0.9:
        found.append(f"peak {sound['peak']:.3f}")
    if not 1.5 <= sound["seconds"] <= 15.5:
        found.append(f"lasts {sound['seconds']:.1f} s")
    for entity in row.get("entity", []):
        if entity["spoken"] not in row["text"]:
            found.append(f"the spoken form of a {entity['kind']} is not in the text")
        if entity["kind"] == "card" and luhn(entity["written"]) != (entity["written"] != LUHN_FAILS):
            found.append("the check digit of the card is not as the card of the set says")
    if row["clean"] != take.clean or row["text"] != take.text:
        found.append("is not what sentences.toml says")
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("whisper", type=Path)
    parser.add_argument("--each", action="store_true", help="print what was heard of each recording")
    parser.add_argument("--compute", default="float32", help="float32 or int8: how CTranslate2 computes")
    parser.add_argument("--only", default="", help="listen only to files whose name starts so")
    options = parser.parse_args()
    from faster_whisper import WhisperModel

    model = WhisperModel(str(options.whisper), device="cpu", compute_type=options.compute, cpu_threads=1)
    rows = tomllib.loads((options.folder / "manifest.toml").read_text("utf-8"))["recording"]
    takes = {t.name: t for t in script.read(Path(__file__).parent / "sentences.toml")}
    rows = [r for r in rows if r["file"].startswith(options.only)]
    by_device, by_voice, totals = defaultdict(Tally), defaultdict(Tally), defaultdict(Tally)
    failed, size, invented = [], 0, []
    for row in rows:
        path = options.folder / row["file"]
        size += path.stat().st_size
        sound = sound_of(path)
        take = takes[row["file"].rsplit(".", 1)[0]]
        failed += [f"{row['file']}: {c}" for c in complaints(row, take, sound, path)]
        heard = listen(model, path)
        said = words(row["text"])
        wrong = edits(said, words(heard))
        if options.each:
            print_one(row, sound, heard, wrong)
        if not said:
            invented.append(f"{row['file']} ({take.noise}): {heard!r}")
            continue
        totals["all with text"].add(len(said), wrong)
        if row["clean"]:
            totals["clean"].add(len(said), wrong)
            by_device[row["device"]].add(len(said), wrong)
            by_voice[row["voice"]].add(len(said), wrong)
    for title, tallies in (("device (clean)", by_device), ("voice (clean)", by_voice), ("set", totals)):
        print(f"\n| {title} | recordings | words | wrong | WER |\n|---|---|---|---|---|")
        for name in sorted(tallies):
            print(f"| {name} | {tallies[name]} |")
    print("\nheard in recordings without speech: " + "; ".join(invented))
    seconds = sum(r["seconds"] for r in rows)
    personal = sum(bool(r.get("entity")) for r in rows)
    print(f"{len(rows)} recordings, {seconds:.0f} s, {size} bytes; {personal} with personal data")
    if size > LIMIT:
        failed.append(f"{size} bytes are more than {LIMIT}")
    for line in failed:
        print("WRONG", line)
    raise SystemExit(bool(failed))


def listen(model, path: Path) -> str:
    segments, _ = model.transcribe(
        str(path),
        language="en",
        beam_size=1,
        temperature=0.0,
        without_timestamps=True,
        condition_on_previous_text=False,
    )
    return " ".join(s.text.strip() for s in segments)


def print_one(row: dict, sound: dict, heard: str, wrong: int) -> None:
    edges = "/".join(f"{e:.2f}" for e in sound["edges"])
    mark = "clean" if row["clean"] else "-----"
    print(f"{row['file']:18} {mark} {row['voice']:16} {sound['seconds']:5.2f} s peak {sound['peak']:.2f} "
          f"rms {sound['rms']:.3f} silent {sound['silent']:.2f} edges {edges} wrong {wrong}")
    if wrong:
        print(f"    said  {row['text']}\n    heard {heard}")


if __name__ == "__main__":
    main()
