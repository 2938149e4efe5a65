#!/usr/bin/env python3
"""What a second core gives to the quickstart: the same recordings with one transcribing thread, with two, and with two workers of
one thread each, in turn. Prints seconds, CPU seconds and how many times as fast. Wall time is what is asked here: run it on a
machine that does nothing else, with two cores free.

    python3 benches/quickstart.py [--times 3] [--program target/debug/headwater]
"""
import argparse
import os
import resource
import statistics
import subprocess
import tempfile
import time

ASKED = 1.8
WAYS = {
    "1 worker, 1 thread": ["--workers", "1", "--set", "stage.asr.threads=1"],
    "1 worker, 2 threads": ["--workers", "1", "--set", "stage.asr.threads=2"],
    "2 workers, 1 thread each": ["--workers", "2", "--set", "stage.asr.threads=1"],
}


def run(program, way):
    """Wall and CPU seconds of one run into an empty folder, and the digest of what it stored."""
    with tempfile.TemporaryDirectory() as folder:
        env = dict(os.environ, HEADWATER_STATE=f"{folder}/state", HEADWATER_KEY_FILE=f"{folder}/root.key")
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        begun = time.monotonic()
        command = [program, "run", "pipelines/quickstart.toml", "--quiet", "--param", f"state={folder}/data", *way]
        subprocess.run(command, env=env, check=True)
        wall = time.monotonic() - begun
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        digest = subprocess.run(
            [program, "store", "digest", f"{folder}/data/vault"], env=env, check=True, capture_output=True, text=True
        ).stdout.strip()
        return wall, cpu, digest


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
    digests = {digest for runs in taken.values() for _, _, digest in runs}
    print(f"{'':26}{'seconds':>9}{'CPU s':>9}{'times as fast':>15}")
    one = statistics.median(wall for wall, _, _ in next(iter(taken.values())))
    for name, runs in taken.items():
        wall = statistics.median(wall for wall, _, _ in runs)
        cpu = statistics.median(cpu for _, cpu, _ in runs)
        ratio = one / wall
        miss = "" if name == next(iter(WAYS)) or ratio >= ASKED else f"   below {ASKED}"
        print(f"{name:26}{wall:9.2f}{cpu:9.2f}{ratio:15.2f}{miss}")
    print(f"digests: {'equal' if len(digests) == 1 else 'DIFFERENT'}")
    raise SystemExit(0 if len(digests) == 1 else 1)


if __name__ == "__main__":
    main()
