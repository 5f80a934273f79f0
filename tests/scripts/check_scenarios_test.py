#!/usr/bin/env python3
"""Holds the table of tests/scenarios.md to the tests that there are.

Every row has an id of its list, in order, and names at least one test; every test that is named is
there: `Suite.Name` as a TEST, TEST_F or TEST_P of some file beneath tests/, `name.txt` as a script of
tests/scripts/raft. Every script is named. The numbers of rows at the top are right.
Prints what is wrong; exit code 1 if anything is.
"""

import pathlib
import re
import sys

TESTS = pathlib.Path(__file__).resolve().parent.parent


def known_tests():
    names = set()
    for path in TESTS.rglob("*.cc"):
        for match in re.finditer(r"^TEST(?:_F|_P)?\(\s*(\w+),\s*(\w+)\)", path.read_text(), re.M):
            names.add(".".join(match.groups()))
    return names


def main():
    tests = known_tests()
    scripts = {path.name for path in (TESTS / "scripts" / "raft").glob("*.txt")}
    text = (TESTS / "scenarios.md").read_text()
    wrong = []
    rows = {}
    named_scripts = set()
    for line in text.splitlines():
        row = re.match(r"\| ([A-E])(\d+) \| .* \| ([^|]*) \|$", line)
        if row is None:
            continue
        letter, number, named = row.group(1), int(row.group(2)), row.group(3)
        rows[letter] = rows.get(letter, 0) + 1
        if number != rows[letter]:
            wrong.append(f"{letter}{number}: the next row of its list is {letter}{rows[letter]}")
        names = re.findall(r"`([^`]+)`", named)
        if not names:
            wrong.append(f"{letter}{number}: no test")
        for name in names:
            if name.endswith(".txt"):
                named_scripts.add(name)
                if name not in scripts:
                    wrong.append(f"{letter}{number}: no script {name}")
            elif name not in tests:
                wrong.append(f"{letter}{number}: no test {name}")
    for script in sorted(scripts - named_scripts):
        wrong.append(f"{script} is in no row")
    for letter in "ABCDE":
        if not re.search(rf"^\| {letter} \| .* \| {rows.get(letter, 0)} \|$", text, re.M):
            wrong.append(f"list {letter} has {rows.get(letter, 0)} rows; the head says otherwise")
    print("\n".join(wrong) if wrong else f"{sum(rows.values())} scenarios, all with their tests")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
