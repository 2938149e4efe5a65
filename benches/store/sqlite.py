"""The same rows into SQLite: WAL, synchronous=FULL, one transaction a batch, each row once by its identity.

    sqlite.py FILE ROWS BATCH DEVICES

Prints seconds, CPU seconds, and the median and 99th percentile of a batch in milliseconds.
"""

import resource
import sqlite3
import sys
import time


def row(n, devices):
    # As benches/store/durable.rs makes them.
    return (f"device-{n % devices}", "mic", n // devices, 0, n * 250_000, f"{n:012} the kettle is on, please call <PHONE> before noon. and bring")


def main(file, rows, batch, devices):
    connection = sqlite3.connect(file, isolation_level=None)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute(
        "CREATE TABLE rows (device TEXT, source TEXT, seq INTEGER, part INTEGER, captured_at INTEGER, text TEXT,"
        " PRIMARY KEY (device, source, seq, part)) WITHOUT ROWID"
    )
    batches = [[row(n, devices) for n in range(at, min(at + batch, rows))] for at in range(0, rows, batch)]
    times = []
    cpu = lambda: sum(resource.getrusage(resource.RUSAGE_SELF)[:2])
    start, start_cpu = time.perf_counter(), cpu()
    for lot in batches:
        since = time.perf_counter()
        connection.execute("BEGIN")
        connection.executemany("INSERT OR IGNORE INTO rows VALUES (?, ?, ?, ?, ?, ?)", lot)
        connection.execute("COMMIT")
        times.append(time.perf_counter() - since)
    seconds, spent = time.perf_counter() - start, cpu() - start_cpu
    times.sort()
    p50, p99 = times[len(times) // 2], times[min(len(times) * 99 // 100, len(times) - 1)]
    print(seconds, spent, p50 * 1e3, p99 * 1e3)


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:]))
