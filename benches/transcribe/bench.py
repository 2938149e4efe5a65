#!/usr/bin/env python3
"""CPU seconds of transcription, one thread each, on the same recordings and weights: onnxruntime, faster-whisper, ours.

    python3 benches/transcribe/bench.py [--ours LABEL=COMMAND]... [--limit N] [FILE...]

Sets up its own venv (benches/transcribe/.venv) on the first run. Without files it takes the recordings with speech of
datasets/voice. All engines get the same 16 kHz WAV files. COMMAND is run once for all files, which are appended to it,
and prints one JSON object per line and file: {"file", "audio_seconds", "mel_ms", "encoder_ms", "cross_ms", "first_ms",
"tokens", "tokens_ms", "total_ms", "text"}, in CPU milliseconds.
"""
import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
VENV = HERE / ".venv"
READY = VENV / "ready"


def enter_venv() -> None:
    """Makes the venv if it is not there, and goes on inside it."""
    if Path(sys.prefix) == VENV:
        return
    wanted = (HERE / "requirements.txt").read_text()
    if not READY.exists() or READY.read_text() != wanted:
        print(f"setting up {VENV} ...", file=sys.stderr)
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(VENV)], check=True)
        pip = [str(VENV / "bin" / "python"), "-m", "pip", "install", "--quiet", "-r", str(HERE / "requirements.txt")]
        subprocess.run(pip, check=True)
        READY.write_text(wanted)
    python = str(VENV / "bin" / "python")
    os.execve(python, [python, str(Path(__file__).resolve()), *sys.argv[1:]], one_thread(dict(os.environ)))


def one_thread(environment: dict) -> dict:
    """One thread for every pool that reads the environment, numpy's included."""
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "RAYON_NUM_THREADS")
    return environment | dict.fromkeys(names, "1")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ours", action="append", default=[], metavar="LABEL=COMMAND", help="may be given many times")
    parser.add_argument("--limit", type=int, metavar="N", help="only the first N recordings")
    parser.add_argument("--manifest", type=Path, default=ROOT / "datasets" / "voice" / "manifest.toml")
    parser.add_argument("files", nargs="*", type=Path, metavar="FILE")
    options = parser.parse_args()
    wrong = [pair for pair in options.ours if "=" not in pair]
    if wrong:
        parser.error(f"--ours {wrong[0]!r}: expected LABEL=COMMAND")
    return options


def main() -> int:
    options = arguments()
    enter_venv()
    sys.path.insert(0, str(ROOT / "datasets" / "recipes" / "whisper"))
    import engines
    import table
    from score import recordings

    files = options.files or [options.manifest.parent / name for name, _ in recordings(options.manifest, "all")]
    with tempfile.TemporaryDirectory() as place:
        clips = engines.as_wav(files[: options.limit], Path(place))
        rows = []
        for pair in options.ours:
            label, command = pair.split("=", 1)
            rows.append((label, engines.ours(command, clips)))
        for label, transcribe in engines.others(HERE / "cache"):
            print(f"{label} ...", file=sys.stderr)
            rows.append((label, transcribe(clips)))
    print(table.drawn(rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())
