#!/usr/bin/env python3
"""Runs the Python client of proto/README.md, as it stands on the page, against golden frames and a fake router.

Usage: readme_example_test.py README golden.txt [--write]
--write: prints the golden lines of what the example sends, for golden.txt.
"""

import pathlib
import re
import sys
import threading
import types

README = pathlib.Path(sys.argv[1]).read_text()
GOLDEN = pathlib.Path(sys.argv[2])


def load_example():
    blocks = re.findall(r"^```python\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
    assert len(blocks) == 1, "the page has one Python example"
    module = types.ModuleType("example")
    exec(compile(blocks[0], "proto/README.md", "exec"), module.__dict__)
    return module


def golden():
    lines = [line.split() for line in GOLDEN.read_text().splitlines() if line and line[0] != "#"]
    return {name: bytes.fromhex(text) for name, text in lines}


def frames_sent(example):
    session = 0x1122334455667788
    put = example.encode_command(session, 1, 1, [example.PUT, b"greeting", b"hello"])
    delete = example.encode_command(session, 2, 2, [example.DELETE, b"greeting", b""])
    return {
        "put_frame": example.encode_frame(example.WRITE, 1, 2000, [put]),
        "get_frame": example.encode_frame(example.GET, 3, 2000, [b"greeting", 0, 0]),
        "delete_frame": example.encode_frame(example.WRITE, 2, 2000, [delete]),
    }


def check_frames(example, known):
    for name, frame in frames_sent(example).items():
        assert frame == known[name], f"{name}: {frame.hex()} instead of {known[name].hex()}"
    assert example.decode_frame(known["put_reply_frame"]) == [(83, 1, [None, 17, 0])]
    assert example.decode_frame(known["get_reply_frame"]) == [(81, 3, [None, b"hello", 17, 18])]
    ((kind, request, fields),) = example.decode_frame(known["overloaded_reply_frame"])
    assert (kind, request) == (83, 1) and fields[0][:2] == [12, "busy"] and 12 in example.RETRYABLE


class FakeRouter:
    """Answers the first write with overloaded, then executes commands once by (session, sequence)."""

    def __init__(self, example):
        self.example = example
        self.socket = example.zmq.Context.instance().socket(example.zmq.ROUTER)
        port = self.socket.bind_to_random_port("tcp://127.0.0.1")
        self.endpoint = f"tcp://127.0.0.1:{port}"
        self.commands, self.values, self.refuse = [], {}, 1
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        msgpack = self.example.msgpack
        while True:
            peer, frame = self.socket.recv_multipart()
            for kind, request, fields in self.example.decode_frame(frame):
                answer = self.get(fields) if kind == 80 else self.write(fields)
                reply = [kind + 1, request, 0, answer]
                self.socket.send_multipart([peer, msgpack.packb([1, 9, 0, 1, 2, [reply]])])

    def get(self, fields):
        if fields[0] not in self.values:
            return [[2, "", 0, 0, 0, b""], b"", 0, 7]
        return [None, self.values[fields[0]], 5, 7]

    def write(self, fields):
        self.commands.append(fields[0])
        if self.refuse > 0:
            self.refuse -= 1
            return [[12, "busy", 0, 0, 0, b""], 0, 0]
        _, _, sequence, _, _, ((kind, key, value),) = self.example.msgpack.unpackb(fields[0])
        if kind == 0:
            self.values[key] = value
        else:
            self.values.pop(key, None)
        return [None, 100 + sequence, 0]


def check_client(example):
    router = FakeRouter(example)
    client = example.Client(router.endpoint)
    assert client.put(b"greeting", b"hello") == 101
    assert client.get(b"greeting") == b"hello"
    assert client.delete(b"greeting") == 102
    assert client.get(b"greeting") is None
    first, second, third = router.commands
    assert first == second, "a retry repeats the command, with its sequence"
    assert third != first


def main():
    example = load_example()
    if "--write" in sys.argv:
        for name, frame in frames_sent(example).items():
            print(name, frame.hex())
        return
    check_frames(example, golden())
    check_client(example)
    print("the example of proto/README.md works")


main()
