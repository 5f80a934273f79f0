#!/usr/bin/env python3
"""The wrong variants of this project's rules, and which test catches each (tests/mutants/README.md).

  mutants.py check              every mutant fits the sources, every rule has one or a reason
  mutants.py list               all mutants, a line each
  mutants.py generate DIR       the whole source tree, mutated, in DIR
  mutants.py run [NAME...]      builds that tree and runs mutants against the tests
"""

import argparse
import concurrent.futures
import dataclasses
import os
import pathlib
import re
import shutil
import subprocess
import sys
import threading
import time
import tomllib

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
RULES = 85
SWITCH = "tests/mutants/mutant_switch.h"

# What a tree needs to be configured and built.
TREE = ("CMakeLists.txt", "CMakePresets.json", "common", "proto", "client", "storaged", "raftd", "routerd", "scripts",
        "tests", "README.md", "LICENSE")

# Simulators, tried in chunks of seeds.
SIMULATORS = {"sim": "bedrock_sim", "cluster": "bedrock_cluster_sim"}
CHUNK = 100
# A chunk, or a unit test's program, may take this many times what it takes without a mutant, or a minute: then the
# mutant made it hang.
HANGS = 20


class Problem(Exception):
    pass


@dataclasses.dataclass
class Edit:
    owner: str
    file: str
    find: str
    replace: str

    def pattern(self):
        """Whitespace counts as whitespace, so that formatting moves no mutant."""
        return re.compile(r"\s+".join(re.escape(word) for word in self.find.split()))


@dataclasses.dataclass
class Mutant:
    name: str
    wrong: str
    edits: list
    detect: list
    equivalent: str
    hole: str

    @property
    def rule(self):
        match = re.fullmatch(r"R(\d+)(_\w+)?", self.name)
        return int(match.group(1)) if match else None


# ---- Reading


def edits_of(table, owner):
    parts = table.get("edit") or [table]
    edits = []
    for part in parts:
        file = part.get("file", table.get("file"))
        if not file or "find" not in part or "replace" not in part:
            raise Problem(f"{owner}: an edit needs file, find and replace")
        edits.append(Edit(owner, file, part["find"], part["replace"]))
    return edits


def load(folder=HERE):
    """Gives (mutants by name, edits that several share, reasons by rule)."""
    mutants, support, exceptions = {}, [], {}
    for path in sorted(folder.glob("*.toml")):
        content = tomllib.loads(path.read_text())
        detect = content.get("defaults", {}).get("detect", ["sim"])
        for table in content.get("support", []):
            support += edits_of(table, f"support in {path.name}")
        for table in content.get("exception", []):
            exceptions[int(table["rule"].removeprefix("R"))] = table["why"]
        for table in content.get("mutant", []):
            name = table["name"]
            if name in mutants:
                raise Problem(f"{name} is there twice")
            mutants[name] = Mutant(name, table["wrong"], edits_of(table, name), table.get("detect", detect),
                                   table.get("equivalent", ""), table.get("hole", ""))
    return mutants, support, exceptions


# ---- Mutating


def apply_edits(root, edits):
    """Gives {file: mutated text} and a list of problems."""
    texts, originals, problems = {}, {}, []
    for edit in edits:
        if edit.file not in originals:
            try:
                originals[edit.file] = texts[edit.file] = (root / edit.file).read_text()
            except OSError:
                problems.append(f"{edit.owner}: {edit.file} is not there")
                continue
        pattern = edit.pattern()
        found = len(pattern.findall(originals[edit.file]))
        if found != 1:
            problems.append(f"{edit.owner}: {edit.file} holds its text {found} times, not once: {edit.find!r}")
            continue
        found = len(pattern.findall(texts[edit.file]))
        if found != 1:
            problems.append(f"{edit.owner}: another mutant changes the same text of {edit.file}: {edit.find!r}")
            continue
        texts[edit.file] = pattern.sub(lambda _, new=edit.replace: new, texts[edit.file])
    return texts, problems


def check(root):
    mutants, support, exceptions = load()
    problems = []
    for mutant in mutants.values():
        if not any(f"BEDROCK_MUTANT({mutant.name})" in edit.replace for edit in mutant.edits):
            problems.append(f"{mutant.name} is switched by nothing")
        for edit in mutant.edits:
            for name in re.findall(r"BEDROCK_MUTANT\((\w+)\)", edit.replace):
                if name != mutant.name:
                    problems.append(f"{mutant.name} is switched by {name}")
    edits = support + [edit for mutant in mutants.values() for edit in mutant.edits]
    problems += apply_edits(root, edits)[1]
    have = {mutant.rule for mutant in mutants.values()}
    for rule in range(1, RULES + 1):
        if rule not in have and rule not in exceptions:
            problems.append(f"R{rule} has no mutant, and no reason why not in exceptions.toml")
        if rule in have and rule in exceptions:
            problems.append(f"R{rule} has a mutant, so exceptions.toml must not excuse it")
    return problems


def write_if_changed(path, content):
    if path.exists() and path.read_bytes() == content:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def generate(root, out):
    mutants, support, _ = load()
    edits = support + [edit for mutant in mutants.values() for edit in mutant.edits]
    texts, problems = apply_edits(root, edits)
    if problems:
        raise Problem("\n".join(problems))
    kept = set()
    for top in TREE:
        source = root / top
        files = sorted(source.rglob("*")) if source.is_dir() else [source]
        for file in files:
            if file.is_dir() or "__pycache__" in file.parts:
                continue
            name = file.relative_to(root).as_posix()
            content = texts[name].encode() if name in texts else file.read_bytes()
            write_if_changed(out / name, content)
            if os.access(file, os.X_OK):
                (out / name).chmod(0o755)
            kept.add(name)
    for file in sorted(out.rglob("*")):
        if file.is_file() and file.relative_to(out).as_posix() not in kept:
            file.unlink()


# ---- Building


def build(out, targets, jobs):
    tree, binary = out / "src", out / "build"
    generate(ROOT, tree)
    command = ["cmake", "-S", str(tree), "-B", str(binary), "-G", "Ninja", "-DCMAKE_BUILD_TYPE=Release",
               "-DBEDROCK_BENCHMARKS=OFF", f"-DCMAKE_CXX_FLAGS=-include {tree / SWITCH}"]
    if shutil.which("ccache"):
        command.append("-DCMAKE_CXX_COMPILER_LAUNCHER=ccache")
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    subprocess.run(["cmake", "--build", str(binary), "-j", str(jobs), "--target", *targets], check=True)


def program(out, target):
    if target in SIMULATORS.values():
        return out / "build" / "bin" / target
    found = sorted((out / "build" / "tests").rglob(target))
    if not found:
        raise Problem(f"{target} is not built")
    return found[0]


def target_of(level):
    return SIMULATORS["sim"] if level == "replay" else SIMULATORS.get(level, level.partition(":")[0])


def exists(level):
    lists = (ROOT / "tests").rglob("CMakeLists.txt")
    return any(re.search(rf"\b{target_of(level)}\b", path.read_text()) for path in lists)


# ---- Running


@dataclasses.dataclass
class Verdict:
    caught: bool
    level: str = ""
    by: str = ""
    seed: int = 0
    runs: int = 0  # seeds, the failing one included
    seconds: float = 0


class Runner:
    def __init__(self, out, seeds):
        self.out = out
        self.seeds = seeds
        self.lock = threading.Lock()
        self.chunk_seconds = {}  # level -> {first seed: seconds without a mutant}
        self.unit_seconds = {}  # level -> seconds without a mutant

    def execute(self, command, mutant, timeout):
        environment = dict(os.environ)
        environment.pop("BEDROCK_MUTANT", None)
        if mutant:
            environment["BEDROCK_MUTANT"] = mutant
        begun = time.monotonic()
        try:
            done = subprocess.run(command, env=environment, timeout=timeout, capture_output=True, text=True,
                                  errors="replace", cwd=self.out)
            code, text = done.returncode, done.stdout + done.stderr
        except subprocess.TimeoutExpired as expired:
            code, text = None, (expired.stdout or b"").decode(errors="replace")
        return code, text, time.monotonic() - begun

    def simulate(self, level, mutant):
        begun = time.monotonic()
        path = str(program(self.out, target_of(level)))
        for first in range(1, self.seeds + 1, CHUNK):
            count = min(CHUNK, self.seeds + 1 - first)
            usual = self.chunk_seconds.get(level, {}).get(first, 30)
            timeout = None if mutant is None else max(60, HANGS * usual)
            command = [path, "--first", str(first), "--seeds", str(count)]
            code, text, seconds = self.execute(command, mutant, timeout)
            if mutant is None:
                with self.lock:
                    self.chunk_seconds.setdefault(level, {})[first] = seconds
            if code == 0:
                continue
            seed, by = first, "a run that does not end"
            if code is not None:
                seed, by = failure_of(text)
            return Verdict(True, level, by, seed, seed, time.monotonic() - begun)
        return Verdict(False, level, runs=self.seeds, seconds=time.monotonic() - begun)

    def replay(self, mutant):
        """Runs a seed twice, in two processes: it has to be the same run."""
        begun = time.monotonic()
        path = str(program(self.out, target_of("replay")))
        for seed in range(1, 21):
            texts = {self.execute([path, "--seed", str(seed)], mutant, 600)[1] for _ in range(2)}
            if len(texts) > 1:
                return Verdict(True, "sim", "the same seed gives the same run", seed, seed, time.monotonic() - begun)
        return Verdict(False, "replay", runs=20, seconds=time.monotonic() - begun)

    def unit(self, level, mutant):
        path, _, tests = level.partition(":")
        command = [str(program(self.out, path)), f"--gtest_filter={tests or '*'}"]
        timeout = 1200 if mutant is None else max(60, HANGS * self.unit_seconds.get(level, 60))
        code, text, seconds = self.execute(command, mutant, timeout)
        if mutant is None:
            with self.lock:
                self.unit_seconds[level] = seconds
        if code == 0:
            return Verdict(False, level, seconds=seconds)
        failed = re.findall(r"\[  FAILED  \] ([\w/]+\.[\w/]+)", text)
        begun = re.findall(r"\[ RUN      \] ([\w/]+\.[\w/]+)", text)
        by = failed[0] if failed else (begun[-1] if begun else f"it ends with {code}")
        return Verdict(True, level, by, seconds=seconds)

    def run_level(self, level, mutant):
        if level == "replay":
            return self.replay(mutant)
        if level in SIMULATORS:
            return self.simulate(level, mutant)
        return self.unit(level, mutant)

    def judge(self, mutant, levels):
        """Tries the levels in order; unit tests only where no simulator sees the mutant."""
        verdict, seconds = Verdict(False), 0
        for level in levels:
            verdict = self.run_level(level, mutant.name)
            seconds += verdict.seconds
            if verdict.caught:
                break
        verdict.seconds = seconds
        return verdict


def failure_of(text):
    """(seed, broken invariant) of a failed run of a simulator."""
    seed = re.search(r"^seed (\d+)\b.*\n(.*)", text, re.MULTILINE)
    checked = re.search(r"^(\S+?):\d+: CHECK failed: (.*)$", text, re.MULTILINE)
    number = int(seed.group(1)) if seed else 0
    if checked:
        return number, f"CHECK in {pathlib.Path(checked.group(1)).name}: {checked.group(2)}"
    if seed:
        return number, seed.group(2).split(": ")[0]
    return number, (text.strip().splitlines() or ["it ended without a word"])[-1]


def describe(mutant, verdict):
    if mutant.equivalent:
        state = "CAUGHT, though said to be equivalent" if verdict.caught else "equivalent"
    elif verdict.caught:
        state = verdict.level
    else:
        state = "NOT CAUGHT"
    return state


def is_good(mutant, verdict):
    simulated = verdict.caught and verdict.level in SIMULATORS
    return not simulated if mutant.equivalent else verdict.caught


def table(results):
    lines = ["| mutant | what is wrong | caught by | at seed | seconds |", "| --- | --- | --- | --- | --- |"]
    for mutant, verdict in results:
        by = verdict.by if verdict.caught else mutant.equivalent
        by = f"{describe(mutant, verdict)}: {by}" if by else describe(mutant, verdict)
        seed = str(verdict.seed) if verdict.seed else ("-" if verdict.caught else f"none of {verdict.runs}")
        lines.append(f"| {mutant.name} | {mutant.wrong} | {by.replace('|', '/')} | {seed} | {verdict.seconds:.1f} |")
    return "\n".join(lines)


def run(arguments):
    mutants, _, _ = load()
    unknown = [name for name in arguments.names if name not in mutants]
    if unknown:
        raise Problem(f"no such mutant: {', '.join(unknown)}")
    chosen = [mutants[name] for name in (arguments.names or mutants)]
    known = {level for level in {level for m in chosen for level in m.detect} if exists(level)}
    levels = {m.name: [level for level in m.detect if level in known] for m in chosen}
    if arguments.only:
        chosen = [m for m in chosen if arguments.only in levels[m.name]]
        levels = {m.name: [arguments.only] for m in chosen}
    there = {target_of(level) for each in levels.values() for level in each}
    out = arguments.build.resolve()
    if not arguments.no_build:
        build(out, sorted(there), arguments.jobs)
    if arguments.build_only:
        return True
    runner = Runner(out, arguments.seeds)
    used = sorted({level for each in levels.values() for level in each})
    if not baseline(runner, used, arguments.jobs):
        return False
    good, results = 0, {}
    with concurrent.futures.ThreadPoolExecutor(arguments.jobs) as pool:
        waiting = {pool.submit(runner.judge, m, levels[m.name]): m for m in chosen}
        for done in concurrent.futures.as_completed(waiting):
            mutant, verdict = waiting[done], done.result()
            results[mutant.name] = verdict
            good += is_good(mutant, verdict)
            print(f"[{len(results)}/{len(chosen)}] {mutant.name}: {describe(mutant, verdict)} {verdict.by} "
                  f"(seed {verdict.seed}, {verdict.seconds:.1f} s)", flush=True)
    text = table([(m, results[m.name]) for m in chosen])
    print("\n" + text)
    if arguments.output:
        arguments.output.write_text(text + "\n")
    simulated = sum(1 for v in results.values() if v.caught and v.level in SIMULATORS)
    print(f"\n{len(chosen)} mutants: {simulated} caught by a simulator within {arguments.seeds} seeds, "
          f"{sum(1 for v in results.values() if v.caught) - simulated} by a unit test alone, "
          f"{len(chosen) - good} not as they should be")
    return good == len(chosen)


def baseline(runner, levels, jobs):
    """Without a mutant everything passes; else nothing that fails says anything."""
    passed = True
    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        for level, verdict in zip(levels, pool.map(lambda level: runner.run_level(level, None), levels)):
            print(f"without a mutant: {level} {'FAILED: ' + verdict.by if verdict.caught else 'passes'} "
                  f"({verdict.seconds:.1f} s)", flush=True)
            passed = passed and not verdict.caught
    return passed


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("check")
    commands.add_parser("list")
    generator = commands.add_parser("generate")
    generator.add_argument("directory", type=pathlib.Path)
    runner = commands.add_parser("run")
    runner.add_argument("names", nargs="*", metavar="NAME")
    runner.add_argument("--jobs", type=int, default=os.cpu_count())
    runner.add_argument("--only", metavar="TEST", help="try this simulator or unit test alone")
    runner.add_argument("--seeds", type=int, default=2000, help="of each simulator, from 1 on")
    runner.add_argument("--build", type=pathlib.Path, default=ROOT / "build" / "mutants", help="where it is built")
    runner.add_argument("--build-only", action="store_true")
    runner.add_argument("--no-build", action="store_true", help="run what is built")
    runner.add_argument("--output", type=pathlib.Path, help="a file for the table, too")
    arguments = parser.parse_args()
    try:
        if arguments.command == "check":
            problems = check(ROOT)
            print("\n".join(problems) if problems else "every mutant fits, every rule has one or a reason")
            return 1 if problems else 0
        if arguments.command == "list":
            for mutant in load()[0].values():
                print(f"{mutant.name}: {mutant.wrong}")
            return 0
        if arguments.command == "generate":
            generate(ROOT, arguments.directory)
            return 0
        return 0 if run(arguments) else 1
    except subprocess.CalledProcessError as failed:
        print(f"{failed.cmd[0]} failed", file=sys.stderr)
        return 2
    except Problem as problem:
        print(problem, file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
