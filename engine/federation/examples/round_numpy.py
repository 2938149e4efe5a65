"""The averages of `round.rs` in numpy's floats: 100 devices, 1,000,000 parameters, dense and with 1 % of the values.

python3 examples/round_numpy.py
"""

import time

import numpy as np

DEVICES, PARAMETERS = 100, 1_000_000


def timed(name, run, times=5):
    best = float("inf")
    for _ in range(times):
        begun = time.perf_counter()
        result = run()
        best = min(best, time.perf_counter() - begun)
    print(f"{name}: {best:.4f} s")
    return result


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
    timed("dense: weighted mean, one update after the other, f32", lambda: loop(np.float32))
    timed("dense: weighted mean, one update after the other, f64", lambda: loop(np.float64))
    stacked = np.stack(dense)
    timed("dense: np.average of a stacked array", lambda: np.average(stacked, axis=0, weights=examples))
    timed("1 %: weighted mean, scattered, f64", scatter)
    forward = loop(np.float32)
    dense.reverse()
    examples = examples[::-1].copy()
    differ = np.count_nonzero(forward != loop(np.float32))
    print(f"dense, f32: {differ} of {PARAMETERS} parameters differ when the order of devices is reversed")


main()
