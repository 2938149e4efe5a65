#!/usr/bin/env python3
"""Makes datasets/personal: what forty devices hear, in words of their own and in words that all of them share.

    python3 generate.py            # writes the files anew
    python3 generate.py --check    # makes them in memory and compares with those that stand there

Standard library only, Python 3.11 or newer. Seeds are fixed: a second run gives the same bytes. The README.md of the
folder is written by hand.
"""

import argparse
import hashlib
import json
import re
import sys
import tomllib
from datetime import datetime, timedelta, timezone
from pathlib import Path

import canaries
import people
import talk
from people import Device

HERE = Path(__file__).resolve().parent
FOLDER = HERE.parents[1] / "personal"
FIRST_DAY = datetime(2026, 4, 6, tzinfo=timezone.utc)
DAYS = 8  # each is a round's worth
PER_DAY = (9, 15)  # train sentences; a quarter as many are held out
NEWCOMER_DAY = FIRST_DAY + timedelta(days=DAYS)
NEWCOMER = {"train": 10, "heldout": 30}
FILES = {"start": "talk.jsonl", "after": "newcomers.jsonl"}
COLUMNS = ["device", "gateway", "region", "captured_at", "text", "split"]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=FOLDER, help="folder to write (default: datasets/personal)")
    parser.add_argument("--check", action="store_true", help="compare and write nothing")
    options = parser.parse_args()
    files = make(tomllib.loads((HERE / "words.toml").read_text("utf-8")))
    return check(files, options.out) if options.check else write(files, options.out)


def make(words: dict) -> dict[str, bytes]:
    """words.toml in; every file of the folder but its card out: name -> bytes."""
    devices = people.devices(words)
    rows = all_rows(devices, words)
    keep_said_words(devices, rows)
    files = {name: lines_of(rows, joins) for joins, name in FILES.items()}
    files["members.csv"] = members(devices, "start")
    files["newcomers.csv"] = members(devices, "after")
    files["manifest.toml"] = manifest(devices, words, files)
    secrets, planted = canaries.planted(devices, rows)
    files["canaries.jsonl"] = lines_of(planted, "start")
    files["canaries.toml"] = with_canaries(secrets, files)
    return files


def all_rows(devices: list[Device], words: dict) -> list[tuple[Device, dict]]:
    """Every row of every device, in the order of time."""
    said: set[str] = set()
    rows = []
    for device in devices:
        spoken = talk.sentences(device, words, how_many(device), said)
        rows += [(device, row(device, at, text, split)) for at, text, split in timed(device, spoken)]
    return sorted(rows, key=lambda entry: (entry[1]["captured_at"], entry[0].name))


def how_many(device: Device) -> dict[str, int]:
    """Sentences by split: some devices hear more than others, but each hears as much on one day as on another."""
    if device.joins == "after":
        return NEWCOMER
    train = device.random("how many").randint(*PER_DAY)
    return {"train": train * DAYS, "heldout": round(train / 4) * DAYS}


def timed(device: Device, spoken: dict[str, list[str]]):
    """(time, text, split): a day's train sentences first, held-out ones of the same day after them."""
    rng = device.random("clock")
    days = 1 if device.joins == "after" else DAYS
    for day in range(days):
        at = (NEWCOMER_DAY if device.joins == "after" else FIRST_DAY) + timedelta(
            days=day, seconds=rng.randrange(25200, 32400)
        )
        for split in ("train", "heldout"):
            share = len(spoken[split]) // days
            for text in spoken[split][day * share : (day + 1) * share]:
                at += timedelta(seconds=rng.randrange(20, 1200))
                yield at, text, split


def row(device: Device, at: datetime, text: str, split: str) -> dict:
    values = [device.name, device.gateway, device.region, stamp(at), text, split]
    return dict(zip(COLUMNS, values, strict=True))


def stamp(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")


def lines_of(rows: list[tuple[Device, dict]], joins: str) -> bytes:
    chosen = [row for device, row in rows if device.joins == joins]
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in chosen).encode()


def members(devices: list[Device], joins: str) -> bytes:
    lines = [f"{d.name},{d.gateway},{d.region},yes" for d in devices if d.joins == joins]
    return "\n".join(["device,gateway,region,consent", *lines, ""]).encode()


def manifest(devices: list[Device], words: dict, files: dict[str, bytes]) -> bytes:
    common = words["common"]
    lines = [
        'format = "headwater-texts"',
        "version = 1",
        'name = "personal"',
        'licence = "CC0-1.0"',
        'description = "Invented talk of forty devices: words of each one\'s own, and knowledge that all share."',
        "",
        "[columns]",
        'device = "whose sentence it is"',
        'gateway = "where that device is attached"',
        'region = "where that gateway is"',
        'captured_at = "when it was said, RFC 3339, UTC; rows of a file are in this order"',
        'text = "one sentence, already redacted"',
        'split = "train or heldout"',
        "",
        "[common]",
        f"facts = {listed([' '.join(fact) for fact in common['facts']])}",
        f"phrases = {listed(common['opener'] + common['closer'])}",
    ]
    for joins, name in FILES.items():
        lines += ["", "[[file]]", f"file = {quoted(name)}", f"joins = {quoted(joins)}"]
        lines += [f"rows = {count_lines(files[name])}"]
        lines += [f"sha256 = {quoted(hashlib.sha256(files[name]).hexdigest())}"]
    for device in devices:
        lines += ["", "[[member]]"]
        lines += [f"{key} = {quoted(value)}" for key, value in member(device).items()]
        lines += [f"words = {listed(device.words)}"]
    return ("\n".join(lines) + "\n").encode()


def with_canaries(secrets: list[dict], files: dict[str, bytes]) -> bytes:
    """The manifest of the talk with secrets planted in it."""
    lines = [
        'format      = "headwater-dataset"',
        "version     = 1",
        'name        = "personal with canaries"',
        'licence     = "CC0-1.0"',
        'description = "The talk of datasets/personal with secrets planted in it: what does a model remember of them?"',
        "",
        "[columns]",
        'gateway = "where the device is attached"',
        'region  = "where that gateway is"',
        "",
        "[splits]",
        'train   = "rows"',
        'heldout = "rows"',
    ]
    for name in ("talk.jsonl", "canaries.jsonl"):
        lines += ["", "[[file]]", f"path   = {quoted(name)}", f"rows   = {count_lines(files[name])}"]
        lines += [f"sha256 = {quoted(hashlib.sha256(files[name]).hexdigest())}"]
    for secret in secrets:
        lines += ["", "[[canary]]"]
        lines += [f"{key:<7} = {quoted(value) if isinstance(value, str) else value}" for key, value in secret.items()]
    return ("\n".join(lines) + "\n").encode()


def member(device: Device) -> dict[str, str]:
    return {
        "device": device.name,
        "gateway": device.gateway,
        "region": device.region,
        "setting": device.setting,
        "joins": device.joins,
    }


def count_lines(data: bytes) -> int:
    return data.count(b"\n")


def quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def listed(texts: list[str]) -> str:
    return "[\n" + "".join(f"    {quoted(text)},\n" for text in texts) + "]"


def keep_said_words(devices: list[Device], rows: list[tuple[Device, dict]]) -> None:
    """Drops the words that a device never says, and stops if it says a word of another one."""
    talks = {device.name: [] for device in devices}
    for device, values in rows:
        talks[device.name].append(values["text"].lower())
    talks = {name: "\n".join(texts) for name, texts in talks.items()}
    for device in devices:
        sayers = {word: says(word, talks) for word in device.words}
        shared = {word: names for word, names in sayers.items() if names - {device.name}}
        if shared:
            raise SystemExit(f"words of {device.name} are said elsewhere: {shared}")
        device.words = [word for word, names in sayers.items() if names]


def says(word: str, talks: dict[str, str]) -> set[str]:
    """Names of the devices in whose talk a word or phrase stands whole."""
    whole = re.compile(rf"\b{re.escape(word.lower())}\b")
    return {name for name, texts in talks.items() if whole.search(texts)}


def check(files: dict[str, bytes], folder: Path) -> int:
    wrong = [
        name for name, data in files.items() if not (folder / name).is_file() or (folder / name).read_bytes() != data
    ]
    for name in wrong:
        print(f"{folder / name} differs from what is made here", file=sys.stderr)
    if not wrong:
        print(f"{len(files)} files, byte for byte those in {folder}")
    return 1 if wrong else 0


def write(files: dict[str, bytes], folder: Path) -> int:
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in files.items():
        (folder / name).write_bytes(data)
        print(f"{len(data) / 1e3:8.1f} kB  {count_lines(data):5d} lines  {name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
