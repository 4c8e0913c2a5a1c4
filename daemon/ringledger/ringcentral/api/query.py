"""What may be asked of the call log and active-calls (platform page 5.1)."""

from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import quote


def segment(text: str) -> str:
    """Return an id as one segment of a path: whatever it holds, the path leads nowhere else."""
    return quote(text if text.strip(".") else f" {text}", safe="~")


def iso(ms: int) -> str:
    """An instant (ms) in the platform's form."""
    moment = datetime.fromtimestamp(ms // 1000, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{ms % 1000:03d}Z"


@dataclass(frozen=True, slots=True, kw_only=True)
class CallLogQuery:
    """Filters; ``None`` asks for everything. ``extension_id`` narrows the scope to one extension's own log."""

    extension_id: str | None = None
    since_ms: int | None = None
    until_ms: int | None = None
    number: str | None = None
    direction: str | None = None
    type: str | None = "Voice"
    session_id: str | None = None
    telephony_session_id: str | None = None
    detailed: bool = False
    per_page: int = 250

    def path(self, account: str, name: str) -> str:
        """The resource ``name`` of the account or of the one extension."""
        scope = f"/account/{account}"
        return f"{scope}/extension/{segment(self.extension_id)}/{name}" if self.extension_id else f"{scope}/{name}"

    def params(self) -> dict[str, str]:
        """Query parameters. A session is asked for alone: the platform refuses it next to others (CLG-110)."""
        params = {"perPage": str(self.per_page)}
        if self.detailed:
            params["view"] = "Detailed"
        if self.session_id is not None:
            return {**params, "sessionId": self.session_id}
        if self.telephony_session_id is not None:
            return {**params, "telephonySessionId": self.telephony_session_id}
        return {**params, **self._filters()}

    def _filters(self) -> dict[str, str]:
        asked = {
            "type": self.type,
            "direction": self.direction,
            "phoneNumber": self.number.lstrip("+") if self.number else None,
            "dateFrom": iso(self.since_ms) if self.since_ms is not None else None,
            "dateTo": iso(self.until_ms) if self.until_ms is not None else None,
        }
        return {name: value for name, value in asked.items() if value is not None}
