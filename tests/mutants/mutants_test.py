#!/usr/bin/env python3
"""Tests mutants.py on small trees, and on runs that fail in each of the ways that simulators do."""

import pathlib
import tempfile
import unittest

import mutants

SOURCE = """int Add(int a, int b) {
  return a +
         b;
}
int Twice(int a) { return a + a; }
"""


def edit(find, replace, owner="X"):
    return mutants.Edit(owner, "add.cc", find, replace)


class ApplyTest(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.root = pathlib.Path(self.folder.name)
        (self.root / "add.cc").write_text(SOURCE)

    def tearDown(self):
        self.folder.cleanup()

    def apply(self, *edits):
        texts, problems = mutants.apply_edits(self.root, edits)
        return texts.get("add.cc"), problems

    def test_a_text_is_found_however_it_is_broken_into_lines(self):
        text, problems = self.apply(edit("return a + b;", "return a - b;"))
        self.assertEqual(problems, [])
        self.assertIn("return a - b;", text)
        self.assertIn("Twice", text)

    def test_a_text_that_is_not_there_or_there_twice_is_refused(self):
        self.assertIn("0 times", self.apply(edit("return b;", ""))[1][0])
        self.assertIn("2 times", self.apply(edit("return a", ""))[1][0])

    def test_a_file_that_is_not_there_is_refused(self):
        problems = mutants.apply_edits(self.root, [mutants.Edit("X", "no.cc", "a", "b")])[1]
        self.assertIn("is not there", problems[0])

    def test_mutants_of_one_text_may_stand_around_one_another(self):
        text, problems = self.apply(edit("return a + b;", "if (X) return 0;\n return a + b;"),
                                    edit("return a + b;", "if (Y) return 1;\n return a + b;", "Y"))
        self.assertEqual(problems, [])
        self.assertIn("X", text)
        self.assertIn("Y", text)

    def test_a_mutant_that_takes_anothers_text_away_is_refused(self):
        problems = self.apply(edit("return a + b;", "return X ? a - b : a + b;"), edit("return a + b;", "", "Y"))[1]
        self.assertEqual(len(problems), 1)
        self.assertIn("Y: another mutant", problems[0])

    def test_what_is_put_in_is_taken_as_it_stands(self):
        text, _ = self.apply(edit("return a + b;", r"return '\1\n';"))
        self.assertIn(r"'\1\n'", text)


class FailureTest(unittest.TestCase):
    def test_a_broken_invariant_is_told_with_its_seed(self):
        text = "seed 42 after 1us and 2 events\none leader a term: n1 and n2 in term 3\nmembers=3\nfailed at run 42\n"
        self.assertEqual(mutants.failure_of(text), (42, "one leader a term"))

    def test_a_failed_check_is_told_with_its_file(self):
        text = ("/a/b/log_view.cc:12: CHECK failed: entry.index == last_.Next()\n"
                "seed 7 after 1us and 2 events\n\nmembers=3\n")
        self.assertEqual(mutants.failure_of(text), (7, "CHECK in log_view.cc: entry.index == last_.Next()"))

    def test_a_death_without_a_word_is_a_failure(self):
        self.assertEqual(mutants.failure_of(""), (0, "it ended without a word"))


if __name__ == "__main__":
    unittest.main()
