"""docs/database.md leaves out no view, no table and no column of a view."""

import re
import sqlite3
from contextlib import closing

import pytest

from ringledger.ledger.schema import calls
from ringledger.ledger.schema.tables import APPLICATION_ID, metadata
from ringledger.ledger.schema.views import VIEWS

SAME_AS_CALLS = {"all_calls", "missed_calls", "unconfirmed_calls"}


@pytest.fixture(scope="module")
def page(pytestconfig):
    return (pytestconfig.rootpath / "docs" / "database.md").read_text()


@pytest.fixture(scope="module")
def sections(page):
    parts = re.split(r"(?m)^### `(\w+)`$", page.split("## Tables")[0])
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def described(section):
    return re.findall(r"(?m)^\| `(\w+)` \| \S", section)


def test_every_view_has_a_section_and_no_other(sections):
    assert sections.keys() == VIEWS.keys()


@pytest.mark.parametrize("view", VIEWS)
def test_every_column_is_described_in_order(url, path, sections, view):
    with closing(sqlite3.connect(path)) as connection:
        columns = [column[0] for column in connection.execute(f"SELECT * FROM {view}").description]
    told = described(sections["calls" if view in SAME_AS_CALLS else view])
    assert told == columns


def test_every_table_is_described_with_its_key(page):
    rows = dict(re.findall(r"(?m)^\| `(\w+)` \| (`[^|]+`) \|", page.split("## Tables")[1]))
    rows.pop("alembic_version")
    assert {name: re.findall(r"\w+", keys) for name, keys in rows.items()} == {
        name: [column.name for column in table.primary_key.columns] for name, table in metadata.tables.items()
    }


@pytest.mark.parametrize("table", metadata.tables)
def test_a_column_no_view_shows_is_mentioned(page, table):
    """Columns are shown by a view, or named on the page."""
    for column in metadata.tables[table].columns:
        shown = column.name.replace("_ms", "_seconds")
        assert re.search(rf"`{column.name}`|`{shown}`", page), column.name


def test_the_application_id_is_the_one_told(page):
    assert f"0x{APPLICATION_ID:X}" in page


def test_the_columns_of_calls_are_described_as_declared(page):
    assert calls.with_columns(page) == page, "make generate"
    assert "| `session_id` | nothing |" not in calls.with_columns(page.replace("| the call, within", "| nothing |"))
