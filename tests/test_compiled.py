"""Which tracker is under test: `make test-compiled` runs these tests over a compiled one, and says so here."""

import importlib
import os
import pkgutil

import ringledger.domain
from ringledger import tracker_kind
from ringledger.ledger.write import encode

WANTED = os.environ.get("RINGLEDGER_TRACKER", "plain Python")


def test_the_tracker_under_test_is_the_one_that_was_asked_for():
    assert tracker_kind() == WANTED


def test_every_module_of_the_domain_is_of_that_kind_but_those_whose_types_are_read_while_it_runs():
    names = [one.name for one in pkgutil.iter_modules(ringledger.domain.__path__)]
    modules = {name: importlib.import_module(f"ringledger.domain.{name}") for name in names}
    sources = {name for name, module in modules.items() if str(module.__file__).endswith(".py")}
    plain = {"diagram", "facts", "observation"}
    assert sources == (plain if WANTED == "compiled" else modules.keys() - {"compiled__mypyc"})


def test_what_makes_rows_is_of_that_kind_too():
    assert str(encode.__file__).endswith(".py") is (WANTED != "compiled")
