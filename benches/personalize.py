#!/usr/bin/env python3
"""What a federated adapter is worth: pipelines/personalize.toml beside its controls, over some seeds.

    benches/personalize.py [--seeds 3] [--only NAME ...] [--out FOLDER] [--workers 2]

Runs the program (target/debug/headwater, or $HEADWATER) once for each variant and seed, and prints tables in Markdown:
perplexity on the held-out sentences of all devices after the last round, bytes of an upload, and CPU seconds.

- federated, at several densities: what devices learnt is compressed, summed and given back each round;
- pooled: the same sentences on one device, with as many steps, each over as many sentences as all devices took together;
- alone: the same steps and the same restarts of the optimiser, but every device goes on from its own adapter.

Then eight devices that join afterwards, with ten sentences each, begin from the base and from each variant's adapter.
"""

import argparse
import json
import math
import os
import resource
import statistics
import subprocess
from pathlib import Path

HOUSE = Path(__file__).resolve().parent.parent
STEPS, BATCH = 8, 4
VARIANTS = {
    "dense": {"small.ratio": 1.0, "small.values": "f32"},
    "25 %": {"small.ratio": 0.25},
    "5 %": {"small.ratio": 0.05},
    "1 %": {"small.ratio": 0.01},
    "1 %, warm": {"small.ratio": 0.01, "small.warm_up": 0.25},
    "0.1 %, warm": {"small.ratio": 0.001, "small.warm_up": 0.25},
    "pooled": {
        "talk.one_device": True,
        "talk.device": "pool",
        "train.batch": 32 * BATCH,
        "train.evaluate": 1000,
        "train.lr": 0.005,
        "global.rule": "mean",
        "train.groups": 1,
        "global.min_devices": 1,
        "small.ratio": 1.0,
        "small.values": "f32",
    },
    "alone": {"train.start": "own", "train.lr": 0.005},
}


def program() -> str:
    if "HEADWATER" in os.environ:
        return os.environ["HEADWATER"]
    metadata = subprocess.run(
        ["cargo", "metadata", "--no-deps", "--format-version", "1"], cwd=HOUSE, check=True, capture_output=True
    )
    return str(Path(json.loads(metadata.stdout)["target_directory"]) / "debug" / "headwater")


def run(pipeline: str, state: Path, options: dict, workers: int) -> dict:
    """One run; gives its summary, with the CPU seconds that it took."""
    summary = state / "summary.json"
    state.mkdir(parents=True, exist_ok=True)
    command = [program(), "--state", str(state / "state"), "--key-file", str(state / "root.key"), "run", pipeline]
    if options.get("talk.one_device"):
        members = state / "members.csv"
        members.write_text("device,gateway,region,consent\npool,gateway-of-all,region-of-all,yes\n")
        command_params = ["--param", f"members={members}"]
    else:
        command_params = []
    command += [*command_params, "--quiet", "--workers", str(workers), "--param", f"state={state}", "--summary", str(summary)]
    for path, value in options.items():
        command += ["--set", f"stage.{path}={json.dumps(value)}"]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, cwd=HOUSE, check=True, stderr=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    told = json.loads(summary.read_text())
    told["cpu"] = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return told


def mean(values: list[float]) -> str:
    spread = f" ± {statistics.stdev(values):.2f}" if len(values) > 1 else ""
    return f"{statistics.mean(values):.2f}{spread}"


def held_out(summary: dict, name: str) -> list[float]:
    """Perplexity by round: of what came of the round, or of the devices' own adapters."""
    kind = "personal" if name == "alone" else "global"
    return [told["perplexity"][kind] for told in summary["rounds"]]


def folder(name: str, seed: int) -> str:
    return "".join(c for c in name if c.isalnum() or c == ".") + f"-{seed}"


def within(curve: list[float], goal: float) -> str:
    rounds = [at for at, value in enumerate(curve, 1) if value <= goal]
    return str(rounds[0]) if rounds else f"more than {len(curve)}"


def variants(out: Path, names: list[str], seeds: int, workers: int) -> None:
    told: dict[str, list[dict]] = {}
    for name in names:
        for seed in range(seeds):
            options = {"train.seed": seed, "train.steps": STEPS, "train.batch": BATCH} | VARIANTS[name]
            state = out / folder(name, seed)
            told.setdefault(name, []).append(run("pipelines/personalize.toml", state, options, workers))
            curve = " ".join(f"{value:.1f}" for value in held_out(told[name][-1], name))
            print(f"{name}, seed {seed}: {curve}", flush=True)
    print(f"\n| | base | after the last round ({seeds} seeds) | bytes an upload | dense | CPU s |")
    print("|---|---|---|---|---|---|")
    for name, runs in told.items():
        last = [held_out(summary, name)[-1] for summary in runs]
        rounds = [told for summary in runs for told in summary["rounds"]]
        base = statistics.mean(summary["rounds"][-1]["perplexity"]["base"] for summary in runs)
        sent = statistics.mean(told["upload_bytes"] for told in rounds)
        dense = statistics.mean(told["dense_bytes"] for told in rounds)
        none = name in ("pooled", "alone")
        bytes_of = "- | -" if none else f"{sent:,.0f} | {dense:,.0f}"
        cpu = statistics.mean(summary["cpu"] for summary in runs)
        print(f"| {name} | {base:.0f} | {mean(last)} | {bytes_of} | {cpu:.0f} |")
    if "dense" in told:
        goal = 1.02 * held_out(told["dense"][0], "dense")[-1]
        print("\n| first seed, perplexity by round | " + " | ".join(map(str, range(1, 9))) + " | rounds to within 2 % of dense |")
        print("|---|" + "---|" * 9)
        for name, runs in told.items():
            curve = held_out(runs[0], name)
            print(f"| {name} | " + " | ".join(f"{value:.1f}" for value in curve) + f" | {within(curve, goal)} |")


def newcomer(state: Path, options: dict, workers: int) -> tuple[dict[str, float], dict[str, float]]:
    """Perplexities of devices that join later, by device: before their own training, and after it."""
    run("pipelines/newcomers.toml", state, options, workers)
    rows = subprocess.run(
        [program(), "--key-file", str(state / "root.key"), "store", "cat", str(state / "measured"), "--format", "jsonl"],
        cwd=HOUSE, check=True, capture_output=True, text=True,
    ).stdout.splitlines()
    rows = [row for row in map(json.loads, rows) if row["round"] == 0]
    by_device = lambda column: {row["device"]: math.exp(row[column] / row["tokens"]) for row in rows}
    return by_device("start"), by_device("own")


def newcomers(out: Path, names: list[str], seeds: int, workers: int) -> None:
    """From the base and from the adapter of each federated variant that was run."""
    geometric = lambda values: math.exp(statistics.mean(map(math.log, values)))
    lines = []
    for seed in range(seeds):
        untrained, base = newcomer(out / f"newcomers-base-{seed}", {"train.seed": seed}, workers)
        for name in names:
            adapter = out / folder(name, seed) / "adapters" / "latest"
            if name in ("pooled", "alone") or not adapter.exists():
                continue
            options = {"train.adapter": str(adapter), "train.seed": seed}
            before, after = newcomer(out / f"newcomers-{folder(name, seed)}", options, workers)
            better = sum(after[device] < base[device] for device in base)
            figures = [geometric(each.values()) for each in (untrained, base, before, after)]
            lines.append(f"| {name}, seed {seed} | " + " | ".join(f"{f:.1f}" for f in figures) + f" | {better} of {len(base)} |")
    if lines:
        print("\n| newcomers, geometric means | base | trained from the base | adapter | trained from the adapter | the adapter is better for |")
        print("|---|---|---|---|---|---|")
        print("\n".join(lines))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--only", nargs="*", choices=list(VARIANTS), default=list(VARIANTS))
    parser.add_argument("--out", type=Path, default=Path("/tmp/headwater-personalize"))
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    variants(options.out, options.only, options.seeds, options.workers)
    newcomers(options.out, options.only, options.seeds, options.workers)


if __name__ == "__main__":
    main()
