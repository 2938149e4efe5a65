"""Makes the recordings and their manifest from sentences.toml.

    python make.py OUT --jfk FILE     all recordings and manifest.toml below OUT
    python make.py OUT --manifest     only manifest.toml anew, from the recordings that are there

--jfk names the real recording that the set takes over unchanged.
"""

import argparse
import hashlib
import json
import shutil
from pathlib import Path

import soundfile

import encode
import script
import shape
import voices

HERE = Path(__file__).parent


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--jfk", type=Path)
    parser.add_argument("--manifest", action="store_true")
    parser.add_argument("--only", default="", help="make only recordings whose name starts so")
    options = parser.parse_args()
    takes = script.read(HERE / "sentences.toml")
    if not options.manifest:
        for take in (t for t in takes if t.name.startswith(options.only)):
            record(take, path_of(take, options.out), options.jfk)
    (options.out / "manifest.toml").write_text(manifest(takes, options.out), "utf-8")


def path_of(take: script.Take, out: Path) -> Path:
    return out / f"{take.name}.{encode.FORMATS[take.format].suffix}"


def record(take: script.Take, path: Path, real: Path | None) -> None:
    if take.keep:
        if real is None:
            raise SystemExit(f"{take.name} is the real recording {take.keep}: say where it is with --jfk")
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(real, path)
        return
    form = encode.FORMATS[take.format]
    if take.text:
        samples, rate = voices.speak(take.voice, take.prompt, take.seed("voice"))
        samples = shape.spoken(shape.resampled(samples, rate, form.rate), form.rate, take)
    else:
        samples = shape.unspoken(form.rate, take)
    encode.write(path, samples, form)


def manifest(takes: list[script.Take], out: Path) -> str:
    lengths = {t.name: soundfile.info(path_of(t, out)).duration for t in takes}
    starts = script.schedule(takes, lengths)
    lines = ['format = "headwater-recordings"', "version = 1"]
    for take in sorted(takes, key=lambda t: (starts[t.name], t.name)):
        path = path_of(take, out)
        lines += [
            "",
            "[[recording]]",
            f"file = {quoted(path.relative_to(out).as_posix())}",
            f"device = {quoted(take.device)}",
            f"captured_at = {quoted(starts[take.name].strftime('%Y-%m-%dT%H:%M:%SZ'))}",
            f"seconds = {lengths[take.name]:.3f}",
            f"text = {quoted(take.text)}",
            f"clean = {str(take.clean).lower()}" + (f"  # noise: {take.noise}" if take.noise != "none" else ""),
            f"voice = {quoted(take.voice)}",
            f"sha256 = {quoted(hashlib.sha256(path.read_bytes()).hexdigest())}",
        ]
        for entity in take.entities:
            lines += [
                "[[recording.entity]]",
                f"kind = {quoted(entity.kind)}",
                f"written = {quoted(entity.written)}",
                f"spoken = {quoted(entity.spoken)}",
            ]
    return "\n".join(lines) + "\n"


def quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


if __name__ == "__main__":
    main()
