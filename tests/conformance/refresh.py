"""Makes ``platform_shapes.json`` anew from the platform's own OpenAPI description.

    python tests/conformance/refresh.py [--check] OPENAPI_FILE

A development tool: the tests need only its result. It takes over the facts they check (names of fields, types,
enumerations, which fields must be there) of the answers the simulator gives, and none of the texts. With ``--check``
(`make conformance SPEC=OPENAPI_FILE`) nothing is written: each shape that is another one in that description is named,
and the exit code is 1 if there is any.
"""

import json
import sys
from pathlib import Path
from typing import Any

SHAPES = Path(__file__).parent / "platform_shapes.json"
#: What the simulator serves -> the schema of its answer. Those marked shallow are not followed into their parts.
ANSWERS = {
    "token": "TokenInfo",
    "wstoken": "WsTokenResponse",
    "account": "GetAccountInfoResponse",
    "extension": "GetExtensionInfoResponse",
    "extensions": "GetExtensionListResponse",
    "presence": "PresenceInfoResponse",
    "subscription": "SubscriptionInfo",
    "subscriptions": "SubscriptionListResource",
    "listing": "CallLogResponse",
    "record": "CallLogRecord",
    "sync": "CallLogSyncResponse",
    "ring-out": "GetRingOutStatusResponse",
    "sms": "GetSMSMessageInfoResponse",
    "pager": "GetInternalTextMessageInfoResponse",
    "event": "DetailedExtensionPresenceEvent",
}
SHALLOW = {"GetAccountInfoResponse", "GetExtensionInfoResponse", "GetExtensionListInfoResponse"}
KEPT = ("type", "enum", "required", "minItems", "maxItems", "minLength", "maxLength", "minimum", "maximum")
INSTANT = r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:?\d\d)$"


class Extract:
    """Schemas in their smallest form; ``defs`` holds those that have been reached."""

    def __init__(self, schemas: dict[str, Any]) -> None:
        self.schemas = schemas
        self.defs: dict[str, Any] = {}

    def reach(self, name: str) -> None:
        if name in self.defs:
            return
        self.defs[name] = {}
        self.defs[name] = self.small(self.schemas[name], shallow=name in SHALLOW)

    def small(self, schema: dict[str, Any], *, shallow: bool = False) -> dict[str, Any]:
        if "$ref" in schema:
            return self._reference(schema["$ref"].rsplit("/", 1)[1], shallow=shallow)
        schema = self._merged(schema)
        made = {key: schema[key] for key in KEPT if key in schema}
        if schema.get("format") == "date-time":
            made["pattern"] = INSTANT
        for choice in ("anyOf", "oneOf"):
            if choice in schema:
                made["anyOf"] = [self.small(one, shallow=shallow) for one in schema[choice]]
        if "items" in schema:
            made["items"] = self.small(schema["items"], shallow=shallow)
        if "properties" in schema:
            properties = schema["properties"].items()
            made["properties"] = {name: self.small(one, shallow=shallow) for name, one in properties}
            made["additionalProperties"] = False
        if schema.get("nullable") and "type" in made:
            made["type"] = [made["type"], "null"]
        return made

    def _reference(self, name: str, *, shallow: bool) -> dict[str, Any]:
        if shallow and "enum" not in self.schemas[name]:
            return {}
        self.reach(name)
        return {"$ref": f"#/$defs/{name}"}

    def _merged(self, schema: dict[str, Any]) -> dict[str, Any]:
        """One schema instead of several that hold together."""
        if "allOf" not in schema:
            return schema
        merged = {key: value for key, value in schema.items() if key != "allOf"}
        for part in schema["allOf"]:
            whole = self._merged(self.schemas[part["$ref"].rsplit("/", 1)[1]] if "$ref" in part else part)
            merged["properties"] = merged.get("properties", {}) | whole.get("properties", {})
            merged["required"] = [*merged.get("required", []), *whole.get("required", [])]
            merged = {key: value for key, value in whole.items() if key in KEPT} | merged
        return {key: value for key, value in merged.items() if value not in ({}, [])}


def read(path: Path) -> dict[str, Any]:
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".json":
        return json.loads(text)  # type: ignore[no-any-return]
    import yaml  # when it is needed: a description in JSON needs none

    return yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # type: ignore[no-any-return]


def extracted(description: dict[str, Any]) -> dict[str, Any]:
    """What the tests need of a description."""
    extract = Extract(description["components"]["schemas"])
    for name in ANSWERS.values():
        extract.reach(name)
    return {"answers": ANSWERS, "$defs": extract.defs}


def differences(ours: dict[str, Any], theirs: dict[str, Any]) -> list[str]:
    """One line for each shape or answer that is not the same in both."""
    found = []
    for part in ("answers", "$defs"):
        for name in sorted(ours[part].keys() | theirs[part].keys()):
            mine, other = ours[part].get(name), theirs[part].get(name)
            if mine != other:
                where = "only here" if other is None else "only in the description" if mine is None else "different"
                found.append(f"{part}/{name}: {where}")
    return found


def main(source: Path, *, check: bool) -> int:
    """The exit code."""
    found = extracted(read(source))
    if check:
        different = differences(json.loads(SHAPES.read_text(encoding="utf-8")), found)
        print("\n".join(different) or f"{len(found['$defs'])} shapes are as in {source.name}")
        return int(bool(different))
    text = json.dumps(found, indent=1, sort_keys=True, ensure_ascii=False)
    SHAPES.write_text(text + "\n", encoding="utf-8")
    print(f"{len(found['$defs'])} shapes")
    return 0


if __name__ == "__main__":
    check, *files = sys.argv[1:] if "--check" in sys.argv[1:2] else ["", *sys.argv[1:]]
    if len(files) != 1:
        sys.exit(f"usage: {sys.argv[0]} [--check] OPENAPI_FILE")
    sys.exit(main(Path(files[0]), check=bool(check)))
