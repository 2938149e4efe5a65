"""Rows of utterances in, a table for people out. The first row is the one that the ratios are against."""
import re

REFERENCE = "onnxruntime f32, 30 s"


def drawn(rows: list) -> str:
    audio = sum(found.audio for found in rows[0][1])
    lines = [
        f"{len(rows[0][1])} recordings, {audio:.1f} s of speech; CPU milliseconds, one thread. ratio: total against the",
        f"first row. real time: audio seconds per CPU second. same: recordings with the words of '{REFERENCE}'.",
        "",
        f"{'':28} {'mel':>6} {'encoder':>8} {'cross':>6} {'first':>6} {'/token':>7} {'tokens':>7} "
        f"{'total':>8} {'ratio':>6} {'real time':>9} {'same':>5}",
    ]
    base = mean(rows[0][1], "total")
    words = {label: [plain(one.text) for one in found] for label, found in rows}
    for label, found in rows:
        same = sum(a == b for a, b in zip(words[label], words[REFERENCE]))
        tokens = sum(one.tokens for one in found)
        per_token = sum(one.steps for one in found) / max(tokens, 1)
        total = mean(found, "total")
        lines.append(
            f"{label[:28]:28} {cell(found, 'mel', 6)} {cell(found, 'encoder', 8)} {cell(found, 'cross', 6)} "
            f"{cell(found, 'first', 6)} {1e3 * per_token:7.2f} {tokens:7} {1e3 * total:8.1f} {total / base:6.2f} "
            f"{audio / len(found) / total:9.1f} {same:5}"
        )
    lines += ["", "mel, encoder, cross (keys and values), first (the prompt) and total are means per recording; where cross",
              "and first are '-' the engine does not tell them apart: they are within its time per token."]
    return "\n".join(lines)


def mean(found: list, part: str) -> float:
    return sum(getattr(one, part) for one in found) / len(found)


def cell(found: list, part: str, width: int) -> str:
    if getattr(found[0], part) is None:
        return f"{'-':>{width}}"
    return f"{1e3 * mean(found, part):{width}.1f}"


def plain(text: str) -> str:
    return " ".join(re.findall(r"[a-z0-9']+", text.lower()))
