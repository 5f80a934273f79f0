#!/usr/bin/env python3
"""Measures what writers feel while a node fetches a snapshot: latencies of puts before, during and after.

Starts a fresh cluster of its own (build it first: scripts/test.sh or scripts/cluster.sh start), in a temporary folder, on
ports of its own; fills it, then lets closed-loop writers run all the time while one follower's storaged is rebuilt from
nothing (scripts/cluster.sh rebuild) or, with --new-node, a fourth node joins (scripts/cluster.sh add). Prints puts a second,
p50, p99 and the longest of each stretch, how large the snapshot was, how long it took from the start of the empty node until
it was installed, and the largest resident memory of each process until then. With --new-node the stretch `during` ends when
the node is a voter that has everything, which is a little later.
"""

import argparse
import http.client
import json
import os
import pathlib
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]


class Writers:
    """Closed-loop writers over HTTP; every put is timed, failed ones are counted."""

    def __init__(self, ports, connections, value_bytes):
        self.value = os.urandom(value_bytes)
        self.stopping = False
        self.samples = []  # (when it ended, seconds)
        self.failed = 0
        self.threads = [
            threading.Thread(target=self.run, args=(ports[i % len(ports)], i), daemon=True) for i in range(connections)
        ]

    def start(self):
        for thread in self.threads:
            thread.start()

    def stop(self):
        self.stopping = True
        for thread in self.threads:
            thread.join()

    def run(self, port, number):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        count = 0
        while not self.stopping:
            count += 1
            begun = time.monotonic()
            try:
                connection.request("PUT", f"/v1/kv/load-{number}-{count % 1000}", self.value)
                answer = connection.getresponse()
                answer.read()
                good = answer.status == 204
            except OSError:
                connection.close()
                good = False
            ended = time.monotonic()
            if good:
                self.samples.append((ended, ended - begun))
            else:
                self.failed += 1

    def stretch(self, begin, end):
        taken = sorted(seconds for at, seconds in list(self.samples) if begin <= at < end)
        if not taken:
            return {"puts_per_s": 0}
        return {
            "puts_per_s": round(len(taken) / (end - begin)),
            "p50_ms": round(statistics.median(taken) * 1e3, 2),
            "p99_ms": round(taken[int(len(taken) * 0.99)] * 1e3, 2),
            "max_ms": round(taken[-1] * 1e3, 1),
        }


def cluster(data, *words):
    environment = dict(os.environ, BEDROCK_BIN=os.environ.get("BEDROCK_BIN", str(ROOT / "build/bin")))
    command = [str(ROOT / "scripts/cluster.sh"), *words, "--data", str(data)]
    return subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, text=True).stdout


def fill(port, total_bytes, value_bytes):
    """Puts random values over a few connections, so that a sync is shared by several of them."""
    threads = 8
    failed = []

    def run(number):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        for i in range(number, total_bytes // value_bytes, threads):
            connection.request("PUT", f"/v1/kv/fill-{i}", os.urandom(value_bytes))
            answer = connection.getresponse()
            answer.read()
            if answer.status != 204:
                failed.append(answer.status)
                return

    running = [threading.Thread(target=run, args=(number,)) for number in range(threads)]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()
    if failed:
        sys.exit(f"filling: status {failed[0]}")


def peak_mib(data, node):
    """The largest resident memory that each process of a node has had."""
    peaks = {}
    for program in ("storaged", "raftd", "routerd"):
        pid = (data / node / "run" / f"{program}.pid").read_text().strip()
        status = pathlib.Path(f"/proc/{pid}/status").read_text()
        peaks[program] = int(re.search(r"VmHWM:\s+(\d+)", status).group(1)) >> 10
    return peaks


def leader(port):
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/v1/cluster", timeout=10) as answer:
        return int(json.load(answer)["leader"][1:])


def wait_installed(log, offset, seconds):
    """Gives the bytes of the snapshot, once it is installed."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        text = log.read_bytes()[offset:].decode(errors="replace")
        if "snapshot installed" in text:
            found = re.findall(r"fetching a snapshot.*?bytes=(\d+)", text)
            return int(found[-1]) if found else 0
        time.sleep(0.02)
    sys.exit("the snapshot was not installed; does the raft log still reach back to its beginning? --fill more")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fill", type=int, default=512, metavar="MIB", help="how much is there before (512)")
    parser.add_argument("--fill-value-bytes", type=int, default=256 << 10, help="of each of its values (262144)")
    parser.add_argument("--settle", type=int, default=5, metavar="SECONDS", help="of rest after filling (5)")
    parser.add_argument("--new-node", action="store_true", help="a fourth node joins, instead of a follower's rebuilding")
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument("--value-bytes", type=int, default=100)
    parser.add_argument("--seconds", type=int, default=15, help="of the stretches before and after (15)")
    parser.add_argument("--base-port", type=int, default=8380)
    options = parser.parse_args()

    folder = pathlib.Path(tempfile.mkdtemp(prefix="bedrock-snapshot-bench-"))
    data = folder / "cluster"
    try:
        cluster(data, "start", "--nodes", "3", "--base-port", str(options.base_port))
        begun = time.monotonic()
        fill(options.base_port, options.fill << 20, options.fill_value_bytes)
        print(json.dumps({"filled_mib": options.fill, "seconds": round(time.monotonic() - begun, 1)}), flush=True)
        time.sleep(options.settle)
        lead = leader(options.base_port)
        node = 4 if options.new_node else 3 if lead != 3 else 2
        ports = [options.base_port + i for i in range(3) if i + 1 != node]
        writers = Writers(ports, options.connections, options.value_bytes)
        writers.start()
        time.sleep(2)
        before = time.monotonic()
        time.sleep(options.seconds)
        begun = time.monotonic()
        log = data / f"n{node}" / "log" / "storaged.log"
        if options.new_node:
            offset = 0
            cluster(data, "add", f"n{node}")
        else:
            offset = log.stat().st_size
            cluster(data, "rebuild", f"n{node}")
        size = wait_installed(log, offset, 1800)
        ended = time.monotonic()
        time.sleep(options.seconds)
        after = time.monotonic()
        writers.stop()
        print(json.dumps({"stretch": "before", **writers.stretch(before, begun)}))
        print(json.dumps({"stretch": "during", **writers.stretch(begun, ended),
                          "snapshot_mib": round(size / 2**20, 1), "seconds": round(ended - begun, 2)}))
        print(json.dumps({"stretch": "after", **writers.stretch(ended, after)}))
        for name in (f"n{lead}", f"n{node}"):
            print(json.dumps({"peak_rss_mib": name, **peak_mib(data, name)}))
        print(json.dumps({"failed_puts": writers.failed}))
    finally:
        try:
            cluster(data, "stop")
        except subprocess.CalledProcessError:
            pass
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
