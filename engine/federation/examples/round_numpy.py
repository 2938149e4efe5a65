"""The exact sums of `round.rs` beside numpy's averages of floats: 100 devices, 1,000,000 parameters, dense and with 1 %.

python3 examples/round_numpy.py target/debug/examples/round

All times are CPU seconds of one thread, the best of five. numpy starts from values and positions, ours at 1 % from payloads.
"""

import subprocess
import sys
import time

import numpy as np

DEVICES, PARAMETERS = 100, 1_000_000


def timed(name, run, times=5):
    best = float("inf")
    for _ in range(times):
        begun = time.thread_time()
        run()
        best = min(best, time.thread_time() - begun)
    print(f"numpy, {name}: {best:.4f} s")
    return best


def ours(program):
    told = subprocess.run([program], check=True, capture_output=True, text=True).stdout
    print("".join(f"ours, {line}\n" for line in told.splitlines()), end="")
    lines = (line.removesuffix(" s").rsplit(": ", 1) for line in told.splitlines() if line.endswith(" s"))
    return {name: float(seconds) for name, seconds in lines}


def main():
    random = np.random.default_rng(99)
    dense = [(random.random(PARAMETERS, dtype=np.float32) - 0.5) * np.float32(0.02) for _ in range(DEVICES)]
    examples = np.arange(1, DEVICES + 1)
    sparse = []
    for _ in range(DEVICES):
        positions = np.flatnonzero(random.random(PARAMETERS) < 0.01)
        sparse.append((positions, (random.random(positions.size, dtype=np.float32) - 0.5) * np.float32(0.02)))

    def loop(dtype):
        total = np.zeros(PARAMETERS, dtype)
        for weight, update in zip(examples, dense):
            total += update * dtype(weight)
        return total / dtype(examples.sum())

    def scatter():
        total = np.zeros(PARAMETERS, np.float64)
        for weight, (positions, values) in zip(examples, sparse):
            total[positions] += values * np.float64(weight)
        return total / examples.sum()

    print("numpy", np.__version__)
    single = timed("dense: weighted mean, one update after the other, f32", lambda: loop(np.float32))
    double = timed("dense: weighted mean, one update after the other, f64", lambda: loop(np.float64))
    stacked = np.stack(dense)
    average = timed("dense: np.average of a stacked array", lambda: np.average(stacked, axis=0, weights=examples))
    timed("1 %: weighted mean, scattered, f64", scatter)
    exact = ours(sys.argv[1])
    whole = exact["dense: add 100 updates"] + exact["dense: mean and step at the root"]
    sparse_whole = exact["1 %: decode and add 100 payloads"] + exact["1 %: mean and step at the root"]
    for name, seconds in (("f32, one after the other", single), ("f64, one after the other", double), ("np.average", average)):
        print(f"dense, sum and step: {whole / seconds:.2f} times numpy's dense {name}")
        print(f"1 %, decode, sum and step: {sparse_whole / seconds:.2f} times numpy's dense {name}")
    forward = loop(np.float32)
    dense.reverse()
    examples = examples[::-1].copy()
    differ = np.count_nonzero(forward != loop(np.float32))
    print(f"dense, f32: {differ} of {PARAMETERS} parameters differ when the order of devices is reversed")


main()
