#!/usr/bin/env python3
"""Measures a local cluster over HTTP with wrk: throughput, latency, and the servers' CPU time per request.

Starts a fresh cluster of its own (build it first: scripts/test.sh or scripts/cluster.sh start), in a temporary folder, on
ports of its own, and stops it afterwards. With --peer etcd it does the same, in the same run and in alternating rounds, for
Debian's etcd (package etcd-server), over its HTTP gateway: three members, every write fsynced by a majority, like Bedrock's;
with --peer lease for a second Bedrock that answers linearizable reads by a lease.

Prints a JSON line a round and a table of medians. `steal` is the CPU time that the host took from this machine, in per cent:
rounds with more than 2 % say little.
"""

import argparse
import json
import os
import pathlib
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
TICKS = os.sysconf("SC_CLK_TCK")


def cpu_seconds(pids):
    total = 0
    for pid in pids:
        fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        total += int(fields[11]) + int(fields[12])
    return total / TICKS


def steal_ticks():
    fields = [int(x) for x in pathlib.Path("/proc/stat").read_text().splitlines()[0].split()[1:]]
    return fields[7], sum(fields[:8])


class Bedrock:
    def __init__(self, folder, nodes, base_port, name="bedrock", raftd_flags=()):
        self.name = name
        self.data = folder / name
        self.nodes = nodes
        self.port = base_port
        self.data.mkdir()
        (self.data / "raftd.flags").write_text("".join(f"{flag}\n" for flag in raftd_flags))

    def cluster(self, *words):
        command = [str(ROOT / "scripts/cluster.sh"), *words, "--data", str(self.data)]
        environment = dict(os.environ, BEDROCK_BIN=str(ROOT / "build/bin"))
        return subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, text=True)

    def start(self):
        self.cluster("start", "--nodes", str(self.nodes), "--base-port", str(self.port))

    def stop(self):
        self.cluster("stop")

    def pids(self):
        return [int(f.read_text()) for f in sorted(self.data.glob("n*/run/*.pid"))]

    def url(self):
        return f"http://127.0.0.1:{self.port}"


class Etcd:
    name = "etcd"

    def __init__(self, folder, nodes, base_port):
        self.folder = folder / "etcd"
        self.nodes = nodes
        self.port = base_port + 20
        self.processes = []

    def start(self):
        if shutil.which("etcd") is None:
            sys.exit("--peer etcd needs Debian's package etcd-server")
        self.folder.mkdir()
        peers = ",".join(f"m{i}=http://127.0.0.1:{self.port + 100 + i}" for i in range(self.nodes))
        for i in range(self.nodes):
            client, peer = f"http://127.0.0.1:{self.port + i}", f"http://127.0.0.1:{self.port + 100 + i}"
            log = open(self.folder / f"m{i}.log", "w")
            self.processes.append(subprocess.Popen(
                ["etcd", "--name", f"m{i}", "--data-dir", str(self.folder / f"m{i}"), "--listen-client-urls", client,
                 "--advertise-client-urls", client, "--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer,
                 "--initial-cluster", peers, "--log-level", "error"],
                stdout=log, stderr=log, start_new_session=True))
        for _ in range(200):
            try:
                body = json.dumps({"key": "cHJvYmU=", "value": ""}).encode()
                urllib.request.urlopen(urllib.request.Request(self.url() + "/v3/kv/put", data=body), timeout=2)
                return
            except OSError:
                time.sleep(0.1)
        sys.exit("etcd does not start")

    def stop(self):
        for process in self.processes:
            process.send_signal(signal.SIGTERM)
        for process in self.processes:
            process.wait()

    def pids(self):
        return [process.pid for process in self.processes]

    def url(self):
        return f"http://127.0.0.1:{self.port}"


def run_round(system, operation, connections, options, first_key=0):
    command = ["setsid", "wrk", "-t1", f"-c{connections}", f"-d{options.seconds}s", "--timeout", "10s",
               "-s", str(HERE / "http_bench.lua"), system.url(), "--", system.name, operation, str(options.keys),
               str(options.value_bytes), str(first_key)]
    pids = system.pids()
    cpu_before, (steal_before, all_before) = cpu_seconds(pids), steal_ticks()
    output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    cpu, (steal, everything) = cpu_seconds(pids) - cpu_before, steal_ticks()
    line = next(line for line in output.splitlines() if line.startswith("RESULT "))
    result = json.loads(line[len("RESULT "):])
    result = {"system": system.name, "operation": operation, "connections": connections,
              "per_second": round(result["requests"] / result["seconds"]), **result,
              "cpu_us_per_request": round(cpu * 1e6 / max(result["requests"], 1), 1),
              "steal_percent": round(100 * (steal - steal_before) / max(everything - all_before, 1), 1)}
    print(json.dumps(result), flush=True)
    return result


def fill(system, options):
    """Puts every key once, so that gets find something."""
    done = 0
    while done < options.keys:
        done += run_round(system, "fill", 64, options, done)["requests"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--operations", default="put,get", help="of put, txn (three puts in one transaction) and get (%(default)s)")
    parser.add_argument("--connections", default="1,16,64,256", help="how many, a round each (%(default)s)")
    parser.add_argument("--seconds", type=int, default=5, help="length of a round (%(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="rounds of each kind; medians are shown (%(default)s)")
    parser.add_argument("--value-bytes", type=int, default=100)
    parser.add_argument("--keys", type=int, default=100_000)
    parser.add_argument("--nodes", type=int, default=3)
    parser.add_argument("--base-port", type=int, default=18080)
    parser.add_argument("--peer", choices=["etcd", "lease"],
                        help="measure this, too, in alternating rounds; lease: Bedrock whose raftds have --lease-reads")
    parser.add_argument("--folder", help="where the data go; on the disk to be measured (the temporary folder)")
    options = parser.parse_args()

    folder = pathlib.Path(tempfile.mkdtemp(prefix="bedrock-bench-", dir=options.folder))
    systems = [Bedrock(folder, options.nodes, options.base_port)]
    if options.peer == "etcd":
        systems.append(Etcd(folder, options.nodes, options.base_port))
    if options.peer == "lease":
        systems.append(Bedrock(folder, options.nodes, options.base_port + 20, "lease", ["--lease-reads"]))
    results = {}
    started = []
    try:
        for system in systems:
            started.append(system)
            system.start()
            fill(system, options)
        for operation in options.operations.split(","):
            for connections in [int(c) for c in options.connections.split(",")]:
                for _ in range(options.rounds):
                    for system in systems:
                        result = run_round(system, operation, connections, options)
                        results.setdefault((operation, connections, system.name), []).append(result)
    finally:
        for system in started:
            system.stop()
        shutil.rmtree(folder, ignore_errors=True)

    columns = ["per_second", "p50_us", "p99_us", "cpu_us_per_request", "steal_percent"]
    print(f"\n{'operation':10} {'conns':>5} {'system':8} " + " ".join(f"{c:>18}" for c in columns))
    for (operation, connections, name), rounds in results.items():
        medians = [statistics.median(r[c] for r in rounds) for c in columns]
        print(f"{operation:10} {connections:5} {name:8} " + " ".join(f"{m:18,.1f}" for m in medians))
    failed = [r for rounds in results.values() for r in rounds if r["status_errors"] or r["socket_errors"]]
    if failed:
        print(f"\n{len(failed)} rounds had failed requests; their figures mean nothing")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
