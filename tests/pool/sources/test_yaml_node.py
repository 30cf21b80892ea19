"""YAML with lines, which no file can blow up."""

from __future__ import annotations

import time

from dbtune.pool.sources.tree import walk
from dbtune.pool.sources.yaml_node import Node, documents
from tests.pool.sources.conftest import Write


def document(write: Write, text: str) -> Node:
    (node,) = documents(walk(write({"a.yaml": text})), "a.yaml")
    return node


def test_keys_lines_and_merges(write: Write) -> None:
    node = document(write, "x: &x {a: 1, b: 2}\ny:\n  <<: *x\n  b: 3\nz: [null, ~, '']\n")
    assert [(name, each.text) for name, each in node.get("y").items()] == [("b", "3"), ("a", "1"), ("b", "2")]
    assert node.get("y", "b").text == "3"
    assert node.get("y", "b").at == "a.yaml:4"
    assert not node.get("y", "nothing", "further").exists
    assert [each.exists for each in node.get("z").elements()] == [False, False, False]


def test_documents_keep_the_lines_of_the_file(write: Write) -> None:
    found = documents(walk(write({"a.yaml": "a: 1\n---\nb: 2\n--- # c\nc: 3\n"})), "a.yaml")
    assert [[each.at for _, each in node.items()] for node in found] == [["a.yaml:1"], ["a.yaml:3"], ["a.yaml:5"]]


def test_aliases_that_grow_or_lead_back(write: Write) -> None:
    lines = ["a0: &a0 {}"]
    lines += [f"a{n}: &a{n} {{<<: [{', '.join([f'*a{n - 1}'] * 10)}]}}" for n in range(1, 30)]
    lines += ["round: &round", "  <<: *round", "  b: 1"]
    began = time.perf_counter()
    node = document(write, "\n".join(lines) + "\n")
    assert list(node.get("a29").items()) == []
    assert [name for name, _ in node.get("round").items()] == ["b"]
    assert time.perf_counter() - began < 5


def test_what_is_no_yaml_has_its_line(write: Write) -> None:
    tree = walk(write({"a.yaml": "a: 1\n---\nb:\n\tc: 1\n"}))
    assert [each.get("a").text for each in documents(tree, "a.yaml")] == ["1"]
    assert [str(each) for each in tree.problems] == ["a.yaml:4: is not YAML"]
