import subprocess
import sys
from pathlib import Path

import pytest

from ringledger.domain.diagram import MARK, mermaid, refreshed
from ringledger.domain.status import LEG_TRANSITIONS, LegChange

ARCHITECTURE = Path(__file__).parents[2] / "ARCHITECTURE.md"


def test_the_diagram_in_the_architecture_page_is_fresh() -> None:
    text = ARCHITECTURE.read_text(encoding="utf-8")
    assert refreshed(text) == text, "run: python -m ringledger.domain.diagram ARCHITECTURE.md"


def test_every_change_has_its_arrow() -> None:
    arrows = mermaid().splitlines()[1:]
    assert len(arrows) == sum(change is not LegChange.REPEATED for change in LEG_TRANSITIONS.values())
    assert "    [*] --> Ringing: rings" in arrows
    assert "    CallConnected --> NoCall: ended" in arrows


def test_what_stands_around_the_diagram_stays() -> None:
    text = f"# Title\n\n{MARK}\nold\n{MARK}\n\nmore\n"
    assert refreshed(text).startswith(f"# Title\n\n{MARK}\n```mermaid\n{mermaid()}\n")
    assert refreshed(text).endswith(f"```\n{MARK}\n\nmore\n")
    assert refreshed(refreshed(text)) == refreshed(text)


@pytest.mark.parametrize("text", ["", MARK, MARK * 3])
def test_a_page_without_two_marks_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="two lines"):
        refreshed(text)


def test_the_command_refreshes_a_file(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"{MARK}\n{MARK}\n", encoding="utf-8")
    subprocess.run([sys.executable, "-m", "ringledger.domain.diagram", str(page)], check=True)
    assert page.read_text(encoding="utf-8") == f"{MARK}\n```mermaid\n{mermaid()}\n```\n{MARK}\n"
