#!/usr/bin/env python3
"""The layer check refuses what it must: forbidden edges, cycles, fenced system headers, missing files."""

import pathlib
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "scripts"))
import check_layers  # noqa: E402

RULES = """
common/include:
common/base: common/include
common/net:  common/base
<zmq:        common/net
"""


class CheckLayersTest(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.root = pathlib.Path(self.folder.name)
        self.write("common/base/check.h", "#pragma once\n")
        self.write("common/net/socket.h", '#include "common/base/check.h"\n#include <zmq.h>\n')
        self.write("common/include/bedrock/status.h", "#include <string>\n")
        self.rules = self.write("layers.txt", RULES)

    def tearDown(self):
        self.folder.cleanup()

    def write(self, path, text):
        target = self.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
        return target

    def check(self):
        return check_layers.check(self.root, self.rules)

    def test_allowed_edges_pass(self):
        self.write("common/base/status.cc", '#include "bedrock/status.h"\n#include <bedrock/status.h>\n')
        self.assertEqual(self.check(), [])

    def test_an_edge_against_the_grain(self):
        self.write("common/base/upward.h", '#include "common/net/socket.h"\n')
        self.assertEqual(self.check(), ["common/base/upward.h:1: common/base may not include common/net"])

    def test_a_fenced_system_header(self):
        self.write("common/base/sneaky.cc", "\n#include <zmq.hpp>\n")
        self.assertEqual(self.check(), ["common/base/sneaky.cc:2: <zmq.hpp> is only for common/net"])

    def test_a_cycle_in_the_rules(self):
        self.write("layers.txt", RULES.replace("common/base: common/include", "common/base: common/net"))
        self.assertTrue(any("cycle" in problem for problem in self.check()))

    def test_a_folder_without_a_rule(self):
        self.write("routerd/core/a.cc", "")
        self.assertTrue(any("routerd/core/a.cc" in problem for problem in self.check()))

    def test_a_missing_file(self):
        self.write("common/base/broken.cc", '#include "common/base/absent.h"\n')
        self.assertEqual(self.check(), ["common/base/broken.cc:1: no such file: common/base/absent.h"])


if __name__ == "__main__":
    unittest.main()
