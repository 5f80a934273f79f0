#!/usr/bin/env python3
"""Runs the Python example of proto/README.md, main part included, with its endpoints replaced by those given.

Usage: python_example.py README ENDPOINT…
"""

import contextlib
import io
import pathlib
import re
import sys

(source,) = re.findall(r"^```python\n(.*?)^```$", pathlib.Path(sys.argv[1]).read_text(), re.MULTILINE | re.DOTALL)
endpoints = ", ".join(repr(endpoint) for endpoint in sys.argv[2:])
source, replaced = re.subn(r"^    client = Client\(.*\)$", f"    client = Client({endpoints})", source, flags=re.MULTILINE)
assert replaced == 1, "the example connects once"

output = io.StringIO()
with contextlib.redirect_stdout(output):
    exec(compile(source, "proto/README.md", "exec"), {"__name__": "__main__"})
print(output.getvalue())
expected = r"put at version (\d+)\nget gives b'hello'\ndeleted at version (\d+)\nget gives None\n"
match = re.fullmatch(expected, output.getvalue())
assert match and int(match[1]) < int(match[2]), "the example does not do what it says"
