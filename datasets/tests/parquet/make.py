"""Writes talk.parquet and talk.jsonl beside this file: the same rows twice, for tests that read both. And int96.parquet,
with times as Spark long wrote them.

Needs pyarrow 26.0.1. The columns are stored in as many ways as pyarrow has for texts and times: Snappy, zstd and no
compression, plain and dictionary pages, large strings, an Arrow dictionary, three units of time.
"""

import json
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

HERE = Path(__file__).parent
START = datetime(2026, 3, 2, 8, 15, tzinfo=timezone.utc)
WORDS = ["set the kitchen light to blue", "wake me at seven", "spiel das Lied vom Fluss", "", "naïve café ☕"]
ROWS = 50


def row(n):
    return {
        "text": None if n == 11 else "" if n == 13 else f"{WORDS[n % 5]} {n}".strip(),
        "device": None if n % 7 == 3 else f"device-{n % 4}",
        "captured_at": None if n == 12 else START + timedelta(seconds=n, microseconds=n),
        "split": "train" if n % 3 else "heldout",
        "session": None if n % 10 == 9 else n // 10,
        "spoken": n % 2 == 0,
        "weight": n / 8,
        "words": [n],
    }


def line(values):
    shown = {name: value for name, value in values.items() if value is not None}
    if "captured_at" in shown:
        shown["captured_at"] = shown["captured_at"].isoformat()
    return json.dumps(shown, ensure_ascii=False) + "\n"


rows = [row(n) for n in range(ROWS)]
times = [r["captured_at"] for r in rows]
naive = [t and t.replace(tzinfo=None) for t in times]
columns = {
    "words": pa.array([r["words"] for r in rows], pa.list_(pa.int64())),
    "text": pa.array([r["text"] for r in rows], pa.string()),
    "text_large": pa.array([r["text"] for r in rows], pa.large_string()),
    "text_view": pa.array([r["text"] for r in rows], pa.string_view()),
    "device": pa.array([r["device"] for r in rows], pa.string()).dictionary_encode(),
    "captured_at": pa.array(times, pa.timestamp("ns", tz="Europe/Berlin")),
    "at_us": pa.array(naive, pa.timestamp("us")),
    "at_ms": pa.array(times, pa.timestamp("ms", tz="UTC"), safe=False),
    "at_text": pa.array([t and t.isoformat() for t in times], pa.string()),
    "split": pa.array([r["split"] for r in rows], pa.string()).dictionary_encode(),
    "session": pa.array([r["session"] for r in rows], pa.int32()),
    "spoken": pa.array([r["spoken"] for r in rows], pa.bool_()),
    "weight": pa.array([r["weight"] for r in rows], pa.float64()),
    "nothing": pa.nulls(ROWS),
    "bytes": pa.array([b"\xff"] * ROWS, pa.binary()),
}
plain = {"text_large", "at_text", "captured_at"}
compression = {name: "snappy" for name in columns} | {"text_large": "zstd", "split": "zstd", "session": "none"}
compression["words.list.element"] = compression.pop("words")
pq.write_table(
    pa.table(columns),
    HERE / "talk.parquet",
    row_group_size=20,
    compression=compression,
    use_dictionary=[name for name in columns if name not in plain | {"words"}],
    data_page_size=200,
)
(HERE / "talk.jsonl").write_text("".join(map(line, rows)), encoding="utf-8")

far = [datetime(1600, 1, 1), None, datetime(2026, 3, 2, 8, 15), datetime(9999, 12, 31, 23, 59, 59, 999999)]
old = pa.table({"text": ["a", "b", "c", "d"], "captured_at": pa.array(far, pa.timestamp("us"))})
pq.write_table(old, HERE / "int96.parquet", use_deprecated_int96_timestamps=True)
