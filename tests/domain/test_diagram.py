import subprocess
import sys
from pathlib import Path

from ringledger.domain.diagram import MARK, mermaid, section
from ringledger.domain.status import LEG_TRANSITIONS, LegChange

ARCHITECTURE = Path(__file__).parents[2] / "ARCHITECTURE.md"


def test_the_diagram_in_the_architecture_page_is_fresh() -> None:
    text = ARCHITECTURE.read_text(encoding="utf-8")
    assert text.count(MARK) == 2
    assert section() in text, "put there what python -m ringledger.domain.diagram prints"


def test_every_change_has_its_arrow() -> None:
    arrows = mermaid().splitlines()[1:]
    assert len(arrows) == sum(change is not LegChange.REPEATED for change in LEG_TRANSITIONS.values())
    assert "    [*] --> Ringing: rings" in arrows
    assert "    CallConnected --> NoCall: ended" in arrows


def test_the_command_prints_it_and_writes_no_file(tmp_path: Path) -> None:
    words = [sys.executable, "-m", "ringledger.domain.diagram"]
    done = subprocess.run(words, check=True, capture_output=True, text=True, cwd=tmp_path)
    assert done.stdout == f"{section()}\n"
    assert not list(tmp_path.iterdir())
