"""A CycloneDX list of what an installation from requirements.lock consists of; the same input, the same bytes."""

import json
import re
from pathlib import Path

LOCK = Path(__file__).resolve().parents[1] / "requirements.lock"


def components(lock: str) -> list[dict[str, object]]:
    """One entry for each pinned distribution."""
    return [
        {
            "type": "library",
            "bom-ref": f"{name}=={version}",
            "name": name,
            "version": version,
            "purl": f"pkg:pypi/{name}@{version}",
        }
        for name, version in re.findall(r"^([a-z0-9.-]+)(?:\[[a-z0-9,-]+\])?==([^\s;]+)", lock, re.MULTILINE)
    ]


def sbom(lock: str) -> str:
    """The document."""
    document = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"component": {"type": "application", "name": "ringledger", "bom-ref": "ringledger"}},
        "components": components(lock),
    }
    return json.dumps(document, indent=2) + "\n"


if __name__ == "__main__":
    print(sbom(LOCK.read_text(encoding="utf-8")), end="")
