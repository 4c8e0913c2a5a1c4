"""Makes ``platform_shapes.json`` anew from the platform's own OpenAPI description.

    python tests/conformance/refresh.py OPENAPI_FILE

A development tool: the tests need only its result. It takes over the facts they check (names of fields, types,
enumerations, which fields must be there) of the answers the simulator gives, and none of the texts. Needs PyYAML
when the description is YAML.
"""

import json
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
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
    import yaml

    return yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # type: ignore[no-any-return]


def main(source: str) -> None:
    description = read(Path(source))
    extract = Extract(description["components"]["schemas"])
    for name in ANSWERS.values():
        extract.reach(name)
    found = {"answers": ANSWERS, "$defs": extract.defs}
    text = json.dumps(found, indent=1, sort_keys=True, ensure_ascii=False)
    (HERE / "platform_shapes.json").write_text(text + "\n", encoding="utf-8")
    print(f"{len(extract.defs)} shapes")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(f"usage: {sys.argv[0]} OPENAPI_FILE")
    main(sys.argv[1])
