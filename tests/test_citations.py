"""What a docstring cites is there, and each rule is cited where the code keeps it: rules, contract and platform pages
live in docs/, under the numbers cited.
"""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
#: The word a citation begins with, and the page it means.
PAGES = {"rule": "rules.md", "rules": "rules.md", "contract": "contract.md", "platform page": "platform.md"}
_NUMBER = r"[0-9]+(?:\.[0-9]+)?"
CITATION = re.compile(rf"\b(rules?|contract|platform page) ({_NUMBER}(?:(?:, | and | to ){_NUMBER})*)")
#: What the tutorial's own examples come to is kept by no single place of the code, but by stories.
EXAMPLES = "11."


def numbers(page: str) -> set[str]:
    """The numbers of a page's headings, and of the rules and paragraphs that begin with one."""
    text = (ROOT / "docs" / page).read_text()
    headings = re.findall(r"^#+ ([0-9]+(?:\.[0-9]+)?)\b", text, re.MULTILINE)
    paragraphs = re.findall(r"^\*\*([0-9]+\.[0-9]+)\b", text, re.MULTILINE)
    listed = []
    for section, body in re.findall(r"^## ([0-9]+)\. .*?\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL):
        listed += [f"{section}.{one}" for one in re.findall(r"^(?:\| )?([0-9]+)(?:\.| \|)", body, re.MULTILINE)]
    return {*headings, *paragraphs, *listed}


def cited(*places: str) -> list[tuple[str, str, str]]:
    texts = [path for place in places for path in sorted((ROOT / place).rglob("*.py"))]
    return [
        (str(path.relative_to(ROOT)), PAGES[word], number)
        for path in [*texts, *ROOT.glob("*.md")]
        for word, told in CITATION.findall(" ".join(path.read_text().split()))
        for number in re.findall(_NUMBER, told)
    ]


@pytest.mark.parametrize("page", sorted(set(PAGES.values())))
def test_each_cited_rule_is_on_its_page(page: str) -> None:
    there = numbers(page)
    missing = [(path, number) for path, on, number in cited("daemon", "tests") if on == page and number not in there]
    assert not missing


def test_each_rule_is_cited_where_the_code_keeps_it() -> None:
    """So that whoever looks for a rule searches for its number."""
    kept = {number for path, page, number in cited("daemon") if page == "rules.md" and path.endswith(".py")}
    rules = {number for number in numbers("rules.md") if "." in number and not number.startswith(EXAMPLES)}
    assert sorted(rules - kept) == []


def test_there_are_citations() -> None:
    assert {page for _, page, _ in cited("daemon")} == set(PAGES.values())


def decided() -> list[tuple[str, str]]:
    """The files and names of the list in ARCHITECTURE; a name is in the file before it, or in the one before that."""
    text = (ROOT / "ARCHITECTURE.md").read_text()
    section = text.partition("## Where is it decided")[2].partition("\n## ")[0]
    found, path = [], ""
    for word in re.findall(r"`([^`]+)`", section.partition("|---|---|")[2].replace("each feed's `", "`*/")):
        if word.endswith(".py"):
            path = word
            found += [] if word.startswith("*/") else [(path, "")]
        else:
            found.append((path, word))
    return found


def test_each_place_of_a_decision_is_there() -> None:
    missing = []
    for path, name in decided():
        file = ROOT / "daemon" / "ringledger" / path
        text = file.read_text() if file.is_file() else ""
        if not text or (name and not re.search(rf"^ *(?:(?:async )?def |class |){name}\b *[(:=]", text, re.MULTILINE)):
            missing.append((path, name))
    assert not missing
    assert len(decided()) > 50


@pytest.mark.parametrize("page", ["ARCHITECTURE.md", "CONTRIBUTING.md", "docs/rules.md", "docs/platform.md"])
def test_each_file_a_page_names_is_there(page: str) -> None:
    named = set(re.findall(r"`((?:[a-z_]+/)+[a-z_0-9]+\.[a-z]+)`", (ROOT / page).read_text()))
    places = [ROOT, ROOT / "daemon" / "ringledger"]
    assert [one for one in sorted(named) if not any((place / one).is_file() for place in places)] == []
