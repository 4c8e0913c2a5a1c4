"""docs/tutorial-map.md: no section of the tutorial is left out, and what a row names exists."""

import re
from pathlib import Path
from typing import Any

import pytest
import typer

from ringledger.cli.app import app
from ringledger.config.model import Settings, WebhookSettings
from ringledger.ledger.schema.calls import CALL_COLUMNS
from ringledger.ledger.schema.views import VIEWS
from ringledger.observability.logging import Event

DOCS = Path(__file__).parents[1] / "docs"
#: The tutorial's headings, in its order: chapters and their sections.
HEADINGS = {
    "Introduction": [],
    "Quickstart": ["Retrieve Call Logs", "Retrieve Filtered Call Logs", "Send SMS Message", "Send Pager Message"],
    "Getting Started": [
        "Installing the SDK", "Instantiating the SDK", "Getting the Platform Singleton", "Login",
        "Handling Authn Exceptions", "Determining Authn Status", "Manual Access Token Refresh", "Logout",
    ],
    "Call Management": [
        "Call States", "Call Notification", "Caller ID & Called Number", "Call Information During Call",
        "Determining End of Call", "Call Duration Post-Call", "Call and Event Matching", "Multiple Concurrent Calls",
        "Call Control",
    ],
    "Call Queries": ["View Active Calls", "View Recently Ended Calls", "View Historical Calls"],
    "Making Calls (RingOut)": [
        "Making a RingOut Call", "Two-Legged Calls", "Polling Outbound Call Status", "Outbound Call Control",
        "Outbound Call Statuses", "Polling & Events Notification",
    ],
}  # fmt: skip
#: Chapters that say something before their first section.
OWN_ROW = {"Introduction", "Call Queries"}
SAME_AS_CALLS = {"calls", "all_calls", "missed_calls", "unconfirmed_calls"}


def chapters():
    parts = re.split(r"(?m)^## (.+)$", (DOCS / "tutorial-map.md").read_text(encoding="utf-8"))
    return {
        title: [tuple(cell.strip() for cell in line.strip("|").split("|")) for line in text.strip().splitlines()[2:]]
        for title, text in zip(parts[1::2], parts[2::2], strict=True)
    }


ROWS = [row for rows in chapters().values() for row in rows]
NAMED = sorted({token for row in ROWS for token in re.findall(r"`([^`]+)`", row[1])})


def columns(view):
    if view in SAME_AS_CALLS:
        return set(CALL_COLUMNS)
    return set(re.findall(r"(\w+)(?=,|\s+FROM|\s*$)", VIEWS[view].replace("\n", " "))) if view in VIEWS else set()


def keys():
    return {one.key for one in Settings().sources()} | {f"webhooks.{name}" for name in WebhookSettings.model_fields}


def is_command(words):
    command: Any = typer.main.get_command(app)
    rest = words.split()[1:]
    while rest and not rest[0].startswith("--"):
        command = getattr(command, "commands", {}).get(rest.pop(0))
        if command is None:
            return False
    return set(rest) <= {option for param in command.params for option in (*param.opts, *param.secondary_opts)}


def exists(token):
    if token.startswith("ringledger "):
        return is_command(token)
    view, _, column = token.partition(".")
    known = token in VIEWS or token in {event.value for event in Event} or token in keys()
    return known or (bool(column) and column in columns(view))


def test_every_heading_of_the_tutorial_has_its_row_in_order():
    found = {title: [row[0] for row in rows] for title, rows in chapters().items()}
    wanted = {title: [title] * (title in OWN_ROW) + sections for title, sections in HEADINGS.items()}
    assert found == wanted


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0])
def test_a_row_names_something(row):
    assert len(row) == 3
    assert re.search(r"`[^`]+`|\]\(", row[1])


@pytest.mark.parametrize("token", NAMED)
def test_what_is_named_exists(token):
    assert exists(token)


@pytest.mark.parametrize("page", sorted({link for row in ROWS for link in re.findall(r"\]\(([^)]+)\)", row[1])}))
def test_a_page_that_is_named_exists(page):
    assert (DOCS / page).is_file()


@pytest.mark.parametrize(
    "token",
    ["ringledger calls --nowhen", "ringledger call", "call.vanished", "calls.colour", "poll.pace", "called", "calls."],
)
def test_what_rots_is_noticed(token):
    assert not exists(token)
