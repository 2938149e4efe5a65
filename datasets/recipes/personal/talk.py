"""What a device says: a device and words.toml in, sentences out. Knows nothing of files or times."""

import random
import re

from people import Device

SLOT = re.compile(r"\{(\w+?)(2?)\}")
QUESTIONS = {"did", "how", "is"}
COMMON = 0.45  # the part of sentences that are about common knowledge
OWN_PHRASE, COMMON_PHRASE = 0.25, 0.2  # openers and closers, each


def sentences(device: Device, words: dict, counts: dict[str, int], said: set[str]) -> dict[str, list[str]]:
    """`counts` sentences for each split, none of them in `said`, to which they are added.

    What is said in a train split is about the device's own part of the common facts; held-out sentences are about all.
    No two sentences of a device differ in their opening and closing words alone.
    """
    out: dict[str, list[str]] = {}
    cores: set[str] = set()
    for split, count in counts.items():
        rng = device.random(f"talk {split}")
        facts = device.facts if split == "train" else words["common"]["facts"]
        out[split] = []
        while len(out[split]) < count:
            core = _core(rng, device, words, facts)
            text = _sentence(rng, device, words["common"], core)
            if core not in cores and text not in said:
                cores.add(core)
                said.add(text)
                out[split].append(text)
    return out


def _core(rng: random.Random, device: Device, words: dict, facts: list[list[str]]) -> str:
    """A common fact in some frame, or one of the device's usual remarks."""
    slots = device.slots | words["everyday"]
    if rng.random() < COMMON:
        frame = rng.choice(words["common"]["frame"])
        return _fill(rng, frame, slots | {"fact": [" ".join(rng.choice(facts))]})
    return _fill(rng, _habit(rng, device.templates), slots)


def _sentence(rng: random.Random, device: Device, common: dict, core: str) -> str:
    """With opening and closing words, as it is written."""
    opener = _phrase(rng, device.slots["opener"], common["opener"])
    closer = _phrase(rng, device.slots["closer"], common["closer"])
    end = "?" if core.split()[0] in QUESTIONS and not closer else "."
    return _written(", ".join(part for part in (opener, core, closer) if part) + end)


def _habit(rng: random.Random, templates: list[str]) -> str:
    """The first template is said about four times as often as the last one."""
    weights = [4 - 3 * place / (len(templates) - 1) for place in range(len(templates))]
    return rng.choices(templates, weights)[0]


def _phrase(rng: random.Random, own: list[str], common: list[str]) -> str:
    dice = rng.random()
    if dice < OWN_PHRASE:
        return rng.choice(own)
    return rng.choice(common) if dice < OWN_PHRASE + COMMON_PHRASE else ""


def _fill(rng: random.Random, template: str, slots: dict[str, list[str]]) -> str:
    """Slots of one name get one filling; `{who2}` is another one than `{who}`."""
    picked: dict[str, str] = {}

    def pick(match: re.Match) -> str:
        slot, other = match.groups()
        name = slot + other
        if name not in picked:
            taken = {picked.get(slot), picked.get(slot + "2")}
            entry = rng.choice([entry for entry in slots[slot] if entry not in taken])
            picked[name] = entry if "{" not in entry else SLOT.sub(pick, entry)
        return picked[name]

    return SLOT.sub(pick, template)


def _written(text: str) -> str:
    """Articles and a capital."""
    text = re.sub(r"\b([Aa]) (?=[aeiou])", r"\1n ", text)
    return text[0].upper() + text[1:]
