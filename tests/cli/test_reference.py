from pathlib import Path

from ringledger.cli.reference import reference


def test_the_page_is_fresh():
    page = Path(__file__).parents[2] / "docs" / "commands.md"
    assert page.read_text(encoding="utf-8") == reference(), "make generate"


def test_every_command_and_option_is_documented():
    page = reference()
    for command in ("run", "demo", "simulate", "calls", "calls show", "coverage", "db upgrade", "replay"):
        assert f"## `ringledger {command}`" in page
    assert "--unconfirmed" in page
    assert "| 78 |" in page
