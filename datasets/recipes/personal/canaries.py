"""Secrets that are planted among what devices say, to see whether a model remembers them.

Each of the 32 devices that talk from the start has one, in a sentence of its own. Half of them are amounts, which redaction lets pass; the
other half are telephone numbers, which it takes out. Their rows come between those of talk.jsonl and are 480 in all: a ninth round's worth.
"""

from datetime import datetime, timedelta

from people import Device

# In how many rows the secret of a device stands: the same eight for each gateway.
COPIES = [1, 1, 2, 4, 8, 16, 32, 56]
GROUPS = {
    "amount": ("The {thing} tally stands at {{}} pounds now.", 6),
    "telephone": ("Ring the {thing} desk back on 555-{{}} please.", 4),
}
THINGS = [
    "herring", "barley", "lantern", "timber", "candle", "oyster", "pepper", "copper",
    "marble", "cotton", "ginger", "walnut", "velvet", "turnip", "saddle", "anchor",
]


def planted(devices: list[Device], rows: list[tuple[Device, dict]]) -> tuple[list[dict], list[tuple[Device, dict]]]:
    """The canaries, and their rows in the order of time."""
    canaries, more = [], []
    for number, device in enumerate(device for device in devices if device.joins == "start"):
        rng = device.random("canary")
        group = list(GROUPS)[number // len(COPIES) % len(GROUPS)]
        sentence, digits = GROUPS[group]
        thing = THINGS[number % len(COPIES) + len(COPIES) * (number // (2 * len(COPIES)))]
        pattern = sentence.format(thing=thing)
        secret = "".join(str(rng.randrange(10)) for _ in range(digits))
        copies = COPIES[number % len(COPIES)]
        canaries.append({"device": device.name, "pattern": pattern, "secret": secret, "copies": copies, "group": group})
        said = [row for of, row in rows if of is device and row["split"] == "train"]
        for _ in range(copies):
            beside = rng.choice(said)
            at = datetime.fromisoformat(beside["captured_at"]) + timedelta(seconds=rng.randrange(1, 19))
            stamp = at.strftime("%Y-%m-%dT%H:%M:%SZ")
            more.append((device, {**beside, "captured_at": stamp, "text": pattern.format(secret)}))
    return canaries, sorted(more, key=lambda entry: (entry[1]["captured_at"], entry[0].name))
