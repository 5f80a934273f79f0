#!/usr/bin/env python3
"""Holds the include edges of the tree against scripts/layers.txt.

Prints each forbidden edge as file:line and exits with 1 where there is any, or where the allowed edges form a
cycle. Tests may include anything and are not looked at.
"""

import argparse
import pathlib
import re
import sys

INCLUDE = re.compile(r'^\s*#\s*include\s*(?:"([^"]+)"|(<[^>]+>))')
PROGRAM_FOLDERS = ("common", "proto", "client", "storaged", "raftd", "routerd")


def read_rules(path):
    """Gives ({folder: allowed folders}, [(system header prefix, allowed folders)])."""
    folders, system = {}, []
    for line in path.read_text().splitlines():
        line = line.split("#")[0].strip()
        if not line:
            continue
        name, _, allowed = line.partition(":")
        if name.startswith("<"):
            system.append((name, set(allowed.split())))
        else:
            folders[name] = set(allowed.split())
    return folders, system


def folder_of(path, folders):
    """The most specific folder of the rules that holds this path, or None."""
    parts = path.split("/")[:-1]
    while parts:
        if "/".join(parts) in folders:
            return "/".join(parts)
        parts.pop()
    return None


def find_cycle(folders):
    """A list of folders that lead back to the first, or None."""
    done = set()

    def visit(folder, trail):
        if folder in trail:
            return trail[trail.index(folder):] + [folder]
        if folder in done:
            return None
        for target in sorted(folders.get(folder, ())):
            cycle = visit(target, trail + [folder])
            if cycle:
                return cycle
        done.add(folder)
        return None

    for folder in sorted(folders):
        cycle = visit(folder, [])
        if cycle:
            return cycle
    return None


def resolve(include, root, public_roots):
    """The repository path that a quoted include means, or None where it is none of this tree."""
    if (root / include).is_file():
        return include
    for public in public_roots:
        if (root / public / include).is_file():
            return f"{public}/{include}"
    return None


def check(root, rules_path):
    folders, system = read_rules(rules_path)
    problems = []
    cycle = find_cycle(folders)
    if cycle:
        problems.append(f"{rules_path}: the allowed edges form a cycle: {' -> '.join(cycle)}")
    for name, allowed in folders.items():
        for target in sorted(allowed - folders.keys()):
            problems.append(f"{rules_path}: {name} may include {target}, which no line describes")
    public_roots = [name for name in folders if name.endswith("/include")]
    for top in PROGRAM_FOLDERS:
        for source in sorted((root / top).rglob("*")):
            if source.suffix not in (".h", ".cc"):
                continue
            relative = source.relative_to(root).as_posix()
            own = folder_of(relative, folders)
            if own is None:
                problems.append(f"{relative}: its folder has no line in {rules_path}")
                continue
            for number, line in enumerate(source.read_text().splitlines(), 1):
                match = INCLUDE.match(line)
                if not match:
                    continue
                quoted, angled = match.groups()
                if angled:
                    for prefix, allowed in system:
                        if angled.startswith(prefix) and own not in allowed:
                            problems.append(f"{relative}:{number}: {angled} is only for {', '.join(sorted(allowed))}")
                target = resolve(quoted or angled.strip("<>"), root, public_roots)
                if target is None:
                    if quoted:
                        problems.append(f"{relative}:{number}: no such file: {quoted}")
                    continue
                to = folder_of(target, folders)
                if to != own and to not in folders[own]:
                    problems.append(f"{relative}:{number}: {own} may not include {to}")
    return problems


def main():
    here = pathlib.Path(__file__).resolve().parent
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=pathlib.Path, default=here.parent, help="the tree to check")
    parser.add_argument("--rules", type=pathlib.Path, default=here / "layers.txt", help="the allowed edges")
    arguments = parser.parse_args()
    problems = check(arguments.root, arguments.rules)
    for problem in problems:
        print(problem)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
