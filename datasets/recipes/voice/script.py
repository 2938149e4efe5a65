"""sentences.toml in, a list of takes out: what is said, when, on which device. Knows nothing of audio."""

import hashlib
import math
import random
import re
import tomllib
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

ENTITY = re.compile(r"\{(\w+)\|([^|}]*)\|([^|}]*)\}")
KINDS = {"phone", "email", "card", "ssn", "date"}
NUMBER_WORDS = set(
    "zero oh one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen "
    "seventeen eighteen nineteen twenty thirty forty fifty sixty seventy eighty ninety hundred thousand million "
    "double triple first second third".split()
)


@dataclass
class Entity:
    kind: str
    written: str
    spoken: str


@dataclass
class Take:
    device: str
    number: int
    voice: str
    prompt: str  # what the voice is given: commas inside an entity are pauses
    text: str  # what the manifest says
    format: str
    noise: str
    seconds: float | None  # length of a take without speech
    keep: str | None  # a real recording, taken over byte by byte
    session_start: datetime
    entities: list[Entity] = field(default_factory=list)

    @property
    def name(self) -> str:
        return f"{self.device}/{self.number:03d}"

    @property
    def clean(self) -> bool:
        """Speech without added noise, personal data or numbers."""
        words = set(re.findall(r"[a-z]+", self.text.lower()))
        return bool(self.text) and self.noise == "none" and not self.entities and not words & NUMBER_WORDS

    def random(self, purpose: str) -> random.Random:
        return random.Random(self.seed(purpose))

    def seed(self, purpose: str) -> int:
        """The same 31-bit number in every run, another one for every take and purpose."""
        return int.from_bytes(hashlib.sha256(f"{self.name} {purpose}".encode()).digest()[:4], "big") >> 1


def read(path: Path) -> list[Take]:
    takes: list[Take] = []
    counts: dict[str, int] = {}
    for session in tomllib.loads(path.read_text("utf-8"))["session"]:
        for row in session["take"]:
            device = session["device"]
            counts[device] = counts.get(device, 0) + 1
            takes.append(_take(session, row, counts[device]))
    return takes


def _take(session: dict, row: dict, number: int) -> Take:
    marked = row.get("text", "")
    entities = [Entity(kind, written, spoken.replace(",", "")) for kind, written, spoken in ENTITY.findall(marked)]
    unknown = {e.kind for e in entities} - KINDS
    if unknown:
        raise SystemExit(f"{session['device']} take {number}: unknown entity kind {sorted(unknown)}")
    return Take(
        device=session["device"],
        number=number,
        voice=row.get("voice", session["voice"]) if marked else "none",
        prompt=ENTITY.sub(lambda m: m[3], marked),
        text=ENTITY.sub(lambda m: m[3].replace(",", ""), marked),
        format=row.get("format", "flac"),
        noise=row.get("noise", "none"),
        seconds=row.get("seconds"),
        keep=row.get("keep"),
        session_start=session["start"],
        entities=entities,
    )


def schedule(takes: list[Take], lengths: dict[str, float]) -> dict[str, datetime]:
    """When each take starts: in its session one after another with 8 to 60 s between; never overlapping on a device."""
    starts: dict[str, datetime] = {}
    free: dict[str, datetime] = {}
    session_of: dict[str, datetime] = {}
    for take in takes:
        if session_of.get(take.device) != take.session_start:
            if take.session_start < free.get(take.device, take.session_start):
                raise SystemExit(f"{take.name}: the session starts before the one before it ends")
            session_of[take.device] = free[take.device] = take.session_start
        starts[take.name] = free[take.device]
        gap = take.random("gap").uniform(8, 60)
        free[take.device] += timedelta(seconds=math.ceil(lengths[take.name] + gap))
    return starts
