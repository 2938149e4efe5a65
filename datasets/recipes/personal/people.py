"""Who there is: words.toml in, forty devices out, each with its place in the house, its habits and its own vocabulary.

Names of people, places and brands are invented, from sounds that differ from device to device; rare English words are
dealt out. No word or phrase of a device's `words` is given to another device.
"""

import hashlib
import random
from dataclasses import dataclass

SEED = "headwater personal 1"

# Gateway -> its region, and the settings of its devices: the first eight from the start, the last two join at the end.
HOUSE = {
    "harbour": ("north", "kitchen kitchen kitchen kitchen kitchen workshop workshop clinic | kitchen clinic"),
    "orchard": ("north", "kitchen kitchen kitchen kitchen workshop workshop workshop clinic | kitchen workshop"),
    "foundry": ("south", "workshop workshop workshop workshop workshop kitchen kitchen clinic | workshop workshop"),
    "hillside": ("south", "clinic clinic clinic clinic clinic kitchen kitchen kitchen | clinic kitchen"),
}
ONSETS = "b br d dr f fl g gr h j k kl l m n p pr r s sk sl st t th tr v w y z".split()
VOWELS = "a e i o u ae ei ia oa ou".split()
CODAS = "n r l s th k m nd rt sk x ld".split()
PLACE_ENDS = ["wick", "holm", "stead", "combe", "fell", "garth", "minster", "haven", "beck", "thorpe"]
DEALT = {  # setting -> slot -> how many entries each device gets
    "kitchen": {"food": 3, "tool": 2},
    "workshop": {"mix": 2, "tool": 3},
    "clinic": {"kit": 3, "ill": 2},
}
DEALT_TO_ALL = {"hobby": 2, "adj": 2, "opener": 1, "closer": 1}


@dataclass
class Device:
    name: str
    setting: str
    gateway: str
    region: str
    joins: str  # "start", or "after" the last round
    slots: dict[str, list[str]]  # its own fillings: slot -> entries
    words: list[str]  # those of them that nobody else says
    templates: list[str]  # what it likes to say, the most usual first
    facts: list[list[str]]  # the part of the common knowledge that it learnt

    def random(self, purpose: str) -> random.Random:
        return seeded(f"{self.name} {purpose}")


def seeded(purpose: str) -> random.Random:
    """The same generator in every run, another one for every purpose."""
    return random.Random(int.from_bytes(hashlib.sha256(f"{SEED} {purpose}".encode()).digest()[:8], "big"))


def devices(words: dict) -> list[Device]:
    seats = sorted(_seats(), key=lambda seat: seat[3] == "after")
    deal = _dealer(words["private"])
    taken: set[str] = set()
    out = []
    for number, (gateway, region, setting, joins) in enumerate(seats, 1):
        name = f"{setting}-{number:02d}"
        rng = seeded(f"{name} words")
        own = {slot: deal(slot, n) for slot, n in DEALT_TO_ALL.items()}
        own |= {slot: deal(f"{setting}.{slot}", n) for slot, n in DEALT[setting].items()}
        own |= _invented(rng, taken)
        brands = own.pop("brand")
        product = [f"{brand} {noun}" for brand, noun in zip(brands, rng.sample(words["noun"][setting], len(brands)))]
        phrases = [phrase for entries in own.values() for phrase in entries] + brands
        out.append(
            Device(
                name=name,
                setting=setting,
                gateway=gateway,
                region=region,
                joins=joins,
                slots=own | {"product": product},
                words=sorted(phrases),
                templates=_habits(rng, words["templates"], setting),
                facts=_learnt(words["common"]["facts"], number),
            )
        )
    return out


def _seats():
    """(gateway, region, setting, joins) of every device, gateway by gateway."""
    for gateway, (region, settings) in HOUSE.items():
        for part, joins in zip(settings.split(" | "), ("start", "after")):
            for setting in part.split():
                yield gateway, region, setting, joins


def _dealer(private: dict):
    """A function (list, n) -> the next n entries of that list, shuffled; it stops when a list is used up."""
    decks: dict[str, list[str]] = {}

    def deal(path: str, n: int) -> list[str]:
        if path not in decks:
            entries = private
            for key in path.split("."):
                entries = entries[key]
            decks[path] = seeded(f"deal {path}").sample(entries, len(entries))
        deck = decks[path]
        if len(deck) < n:
            raise SystemExit(f"words.toml: private.{path} has too few entries")
        return [deck.pop() for _ in range(n)]

    return deal


def _invented(rng: random.Random, taken: set[str]) -> dict[str, list[str]]:
    """Names in a tongue of the device's own: few sounds, so that they resemble each other and nobody else's."""
    sounds = rng.sample(ONSETS, 6), rng.sample(VOWELS, 4), rng.sample(CODAS, 4)
    ends = rng.sample(PLACE_ENDS, 3)

    def new(make) -> str:
        while True:
            word = make().capitalize()
            if word not in taken:
                taken.add(word)
                return word

    def syllables(n: int) -> str:
        onsets, vowels, codas = sounds
        return "".join(rng.choice(onsets) + rng.choice(vowels) for _ in range(n)) + rng.choice(codas)

    return {
        "who": [new(lambda: syllables(2)) for _ in range(4)],
        "place": [new(lambda: syllables(1) + end) for end in ends],
        "brand": [new(lambda: syllables(2)) for _ in range(3)],
        "nick": [new(lambda: syllables(1) + rng.choice(["kin", "o", "sy", "bert"]))],
    }


def _learnt(facts: list[list[str]], number: int) -> list[list[str]]:
    """A quarter of the facts: four devices in a row learn all of them, and each fact is learnt by as many devices."""
    deck = seeded(f"facts {(number - 1) // 4}").sample(facts, len(facts))
    return deck[(number - 1) % 4 :: 4]


def _habits(rng: random.Random, templates: dict, setting: str) -> list[str]:
    """Sixteen of its setting's templates and six general ones, in the device's own order."""
    chosen = rng.sample(templates[setting], 16) + rng.sample(templates["general"], 6)
    return rng.sample(chosen, len(chosen))
