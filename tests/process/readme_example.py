#!/usr/bin/env python3
"""Runs the curl examples of README.md that name this machine, each block as it stands, against three nodes, and holds their replies to what the
page says of them.

Usage: readme_example.py README URL URL URL
"""

import pathlib
import re
import subprocess
import sys

text = pathlib.Path(sys.argv[1]).read_text()
blocks = [b for b in re.findall(r"^```sh\n(.*?)^```$", text, re.MULTILINE | re.DOTALL) if "http://127.0.0.1" in b]


def run(block):
    for port, url in zip(("8080", "8081", "8082"), sys.argv[2:5]):
        block = block.replace(f"http://127.0.0.1:{port}", url)
        block = re.sub(rf"\b{port}\b(?=[ ;])", url.rsplit(":", 1)[1], block)  # of the loop over the nodes
    # -w: a line a reply.
    prologue = "set -eu\ncurl() { command curl -sS -w '\\n' \"$@\"; }\n"
    done = subprocess.run(["bash", "-c", prologue + block], capture_output=True, text=True, timeout=120)
    print(done.stdout + done.stderr)
    assert done.returncode == 0, block
    return done.stdout


said = [run(block) for block in blocks]
expected = [
    r"\s*world\s*",
    r"HTTP/1.1 204.*HTTP/1.1 200.*Ada.*HTTP/1.1 412.*(Ada|key_not_found).*\"cluster_id\"",  # a stale read may come early
    r"\s*{\"succeeded\":true,\"version\":\d+,\"results\":\[{\"value\":\"70\"},{\"value\":\"50\"}\]}\s*",
    r"\s*{\"succeeded\":true,\"version\":\d+,\"results\":\[{}\]}\s*",
    r"\s*({\"succeeded\":true,\"version\":\d+,\"results\":\[{\"value\":\"45\"}\]}\s*)\1\1",
    r"\s*{\"items\":\[{\"key\":\"account/ada\",\"value\":\"71\",\"version\":\d+}\],\"version\":\d+,\"next\":\"[\w-]+\"}\s*"
    r"{\"items\":\[{\"key\":\"account/bob\",\"version\":\d+},{\"key\":\"account/ada\",\"version\":\d+}\],\"version\":\d+,\"next\":null}\s*"
    r"({\"key\":\"account/(ada|bob)\",\"value\":\"\d+\",\"version\":\d+}\s*){2}{\"end\":true,\"version\":\d+,\"count\":2}\s*"
    r"{\"version\":\d+,\"deleted\":1}\s*71\s*",
    r"\s*{\"version\":\d+}\s*90\s*",
    r"\s*{\"cluster_id\":.*}\s*bedrock_state_checked_index \d+\s*bedrock_state_check_passes_total \d+\s*bedrock_state_diverged 0\s*",
]
assert len(said) == len(expected), f"the page has {len(said)} blocks to run, {len(expected)} are expected"
for block, output, pattern in zip(blocks, said, expected):
    whole = re.compile(pattern, re.DOTALL)
    match = whole.search(output) if pattern.startswith("HTTP") else whole.fullmatch(output)
    assert match, f"{block}\ngave\n{output}\nwhich is not\n{pattern}"
