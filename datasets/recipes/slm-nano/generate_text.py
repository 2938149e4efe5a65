#!/usr/bin/env python3
"""Makes the base text: plain things that are said in any kitchen, workshop or clinic, from grammar.toml.

    python3 generate_text.py            # writes text.tmp/train.txt and text.tmp/heldout.txt, one utterance a line
    python3 generate_text.py --check    # makes them in memory and compares with SHA256SUMS

Standard library only, Python 3.11 or newer. The seed is fixed: a second run gives the same bytes. It stops if a word or
a turn of phrase of datasets/personal is in the text, so that the base model has seen none of them.
"""

import argparse
import hashlib
import random
import re
import sys
import tomllib
from pathlib import Path

HERE = Path(__file__).resolve().parent
TEXT = HERE / "text.tmp"
SUMS = HERE / "SHA256SUMS"
PERSONAL = HERE.parents[1] / "personal" / "manifest.toml"
SEED = 20260406
UTTERANCES = {"train.txt": 60000, "heldout.txt": 1000}
SETTINGS = ["kitchen", "workshop", "clinic"]
STRANGERS = 0.15  # the part of utterances about a person with an invented name: the model learns to spell
SLOT = re.compile(r"\{([A-Za-z]+)(2?)\}")
PRONOUNS = {"he": ("she", "he"), "He": ("She", "He"), "him": ("her", "him"), "his": ("her", "his")}
DAYS = {"Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"}


class Utterance:
    """One utterance being made: a slot keeps its filling in all its sentences, and pronouns follow the last person."""

    def __init__(self, rng: random.Random, grammar: dict, setting: str) -> None:
        self.rng = rng
        self.everyday = grammar["everyday"]
        self.slots = grammar["everyday"] | grammar["joined"] | grammar[setting]
        self.slots["who"] = self.everyday["woman"] + self.everyday["man"]
        if rng.random() < STRANGERS:
            self.slots["who"] = [invented_name(rng), invented_name(rng)]
        self.picked: dict[str, str] = {}
        self.last_person = rng.choice(self.slots["who"])

    def fill(self, template: str) -> str:
        return SLOT.sub(self._pick, template)

    def _pick(self, match: re.Match) -> str:
        slot, other = match.groups()
        if slot in PRONOUNS:
            return PRONOUNS[slot][0 if self._is_woman(self.last_person) else 1]
        name = slot + other
        if name not in self.picked:
            taken = {self.picked.get(slot), self.picked.get(slot + "2")}
            filled = self.fill(self.rng.choice(self.slots[slot]))
            while filled in taken:
                filled = self.fill(self.rng.choice(self.slots[slot]))
            self.picked[name] = filled
        if slot in ("who", "patient"):
            self.last_person = self.picked[name]
        return self.picked[name]

    def _is_woman(self, person: str) -> bool:
        return person in self.everyday["woman"] or person.endswith("a") or "lady" in person or "girl" in person


def invented_name(rng: random.Random) -> str:
    """Two or three syllables."""
    syllables = (
        rng.choice("bcdfghjklmnprstvwz") + rng.choice("aeiou") + rng.choice(["", "", *"lmnrstkx"])
        for _ in range(rng.choice([2, 2, 3]))
    )
    return "".join(syllables).capitalize()


def utterance(rng: random.Random, grammar: dict) -> str:
    """One sentence or question, and in a third of cases a second sentence about the same things."""
    joined = grammar["joined"]
    made = Utterance(rng, grammar, rng.choice(SETTINGS))
    if rng.random() < 0.2:
        first = written(made.fill(rng.choice(joined["asked"])), "?")
    else:
        first = written(made.fill(rng.choice(joined["one"])), ".")
    if rng.random() > 0.33:
        return first
    if rng.random() < 0.5:
        return f"{first} {written(made.fill(rng.choice(joined['follow'])), '')}"
    made.picked = {
        slot: text
        for slot, text in made.picked.items()
        if slot.rstrip("2") not in joined and slot[:3] not in ("do", "say")
    }
    return f"{first} {written(made.fill(rng.choice(joined['one'])), '.')}"


def written(text: str, end: str) -> str:
    """Articles, plurals, a capital and an end."""
    text = re.sub(r"\b([Aa]) (?=[aeiou])", r"\1n ", text)
    text = re.sub(r"\bone (\w+)s\b", r"one \1", text)
    text = re.sub(r"(tomato|potato)s\b", r"\1es", text)
    text = re.sub(r"(ch|sh)s\b", r"\1es", text)
    text = re.sub(r"knifes\b", "knives", text)
    text = re.sub(r"rrys\b", "rries", text)
    return text[0].upper() + text[1:] + end


def make(grammar: dict) -> dict[str, bytes]:
    """The files: name -> bytes. No utterance stands twice in them."""
    rng = random.Random(SEED)
    said: set[str] = set()
    files = {}
    for name, count in UTTERANCES.items():
        lines = []
        while len(lines) < count:
            text = utterance(rng, grammar)
            if text not in said:
                said.add(text)
                lines.append(text)
        files[name] = ("\n".join(lines) + "\n").encode()
    return files


def refuse_personal_words(files: dict[str, bytes], manifest: dict) -> None:
    """Stops if a word of a device, a common turn of phrase, or a name in the common facts is in the text."""
    names = {name for fact in manifest["common"]["facts"] for name in re.findall(r"\b[A-Z]\w+", fact)} - DAYS
    phrases = [word for member in manifest["member"] for word in member["words"]] + manifest["common"]["phrases"]
    # A name is told from a word at the beginning of a sentence by what stands before it.
    unwanted = re.compile(rf"(?i:\b({alternatives(phrases)})\b)|(?<=[a-z,] )({alternatives(names)})\b")
    for name, data in files.items():
        found = sorted({match[0] for match in unwanted.finditer(data.decode())})
        if found:
            raise SystemExit(f"{name} holds words of datasets/personal: {', '.join(found)}")


def alternatives(texts) -> str:
    return "|".join(re.escape(text) for text in sorted(texts))


def sums(files: dict[str, bytes]) -> str:
    """In the format of sha256sum, sorted by name."""
    return "".join(f"{hashlib.sha256(data).hexdigest()}  {TEXT.name}/{name}\n" for name, data in sorted(files.items()))


def write(files: dict[str, bytes]) -> int:
    TEXT.mkdir(exist_ok=True)
    for name, data in files.items():
        (TEXT / name).write_bytes(data)
        print(f"{len(data) / 1e6:8.2f} MB  {name}")
    SUMS.write_text(sums(files))
    return 0


def check(files: dict[str, bytes]) -> int:
    if SUMS.read_text() == sums(files):
        print(f"{len(files)} files, byte for byte those of {SUMS}")
        return 0
    print(f"differs from {SUMS}; made here:\n{sums(files)}", file=sys.stderr)
    return 1


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="compare with SHA256SUMS and write nothing")
    options = parser.parse_args()
    files = make(tomllib.loads((HERE / "grammar.toml").read_text("utf-8")))
    refuse_personal_words(files, tomllib.loads(PERSONAL.read_text("utf-8")))
    return check(files) if options.check else write(files)


if __name__ == "__main__":
    sys.exit(main())
