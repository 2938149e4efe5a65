#!/usr/bin/env python3
"""What a second core gives to the quickstart: the same recordings with one transcribing thread, with two, and in two processes of one
thread each, in turn. Prints how long the whole command took and how long recordings were taken in and written down, CPU seconds, and
how many times as fast that was. What comes before, above all the model made ready, a second core does not shorten. Wall time is what
is asked here: run it on a machine that does nothing else, with two cores free.

    python3 benches/quickstart.py [--times 3] [--program target/debug/headwater]
"""
import argparse
import json
import os
import resource
import statistics
import subprocess
import tempfile
import time

ASKED = 1.8
WAYS = {
    "1 thread": ["--set", "stage.asr.threads=1"],
    "2 threads": ["--set", "stage.asr.threads=2"],
    "2 processes of 1 thread": ["--processes", "2", "--set", "stage.asr.threads=1"],
}


def run(program, way):
    """Seconds of the command, of the flow of rows, of CPU, of one run into an empty folder; and the digest of what it stored."""
    with tempfile.TemporaryDirectory() as folder:
        env = dict(os.environ, HEADWATER_STATE=f"{folder}/state", HEADWATER_KEY_FILE=f"{folder}/root.key")
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        begun = time.monotonic()
        command = [program, "run", "pipelines/quickstart.toml", "--quiet", "--param", f"state={folder}/data", *way]
        command += ["--summary", f"{folder}/summary.json"]
        subprocess.run(command, env=env, check=True, stderr=subprocess.DEVNULL)
        wall = time.monotonic() - begun
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        digest = subprocess.run(
            [program, "store", "digest", f"{folder}/data/vault"], env=env, check=True, capture_output=True, text=True
        ).stdout.strip()
        with open(f"{folder}/summary.json", encoding="utf-8") as summary:
            flow = json.load(summary)["wall_seconds"]
        return wall, flow, cpu, digest


def main():
    args = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    args.add_argument("--times", type=int, default=3)
    args.add_argument("--program", default="target/debug/headwater")
    args = args.parse_args()
    os.chdir(os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
    taken = {name: [] for name in WAYS}
    # In turn, so that a slow minute of the machine falls on all alike.
    for _ in range(args.times):
        for name, way in WAYS.items():
            taken[name].append(run(args.program, way))
    digests = {digest for runs in taken.values() for *_, digest in runs}
    print(f"{'':26}{'seconds':>9}{'flow s':>9}{'CPU s':>9}{'times as fast':>15}")
    middle = {name: [statistics.median(column) for column in list(zip(*runs))[:3]] for name, runs in taken.items()}
    first = next(iter(middle))
    for name, (wall, flow, cpu) in middle.items():
        ratio = middle[first][1] / flow
        miss = "" if name == first or ratio >= ASKED else f"   below {ASKED}"
        print(f"{name:26}{wall:9.2f}{flow:9.2f}{cpu:9.2f}{ratio:15.2f}{miss}")
    print(f"digests: {'equal' if len(digests) == 1 else 'DIFFERENT'}")
    raise SystemExit(0 if len(digests) == 1 else 1)


if __name__ == "__main__":
    main()
