"""The examples in the docstrings."""

import doctest
import importlib
import pkgutil

import pytest

import sshml

MODULES = ["sshml", *(m.name for m in pkgutil.walk_packages(sshml.__path__, "sshml."))]


@pytest.mark.parametrize("name", MODULES)
def test_examples(name):
    assert doctest.testmod(importlib.import_module(name)).failed == 0


def test_there_are_examples():
    finder = doctest.DocTestFinder(exclude_empty=True)
    examples = [t for name in MODULES for t in finder.find(importlib.import_module(name)) if t.examples]
    assert len(examples) >= 15
