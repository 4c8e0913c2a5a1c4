"""What can go wrong between us and the platform, named by who must act.

What must stay true: a message is one line and holds no secret; catching :class:`PlatformError`
catches everything that these rooms raise on purpose.
"""


class PlatformError(Exception):
    """Any failure of a request; the subclass says who must act."""

    def __init__(self, message: str) -> None:
        super().__init__(" ".join(message.split())[:300])


class CredentialsRejected(PlatformError):
    """The owner must act: the platform does not accept the credentials. Never to be repeated (exit 77)."""

    def __init__(self, code: str, message: str) -> None:
        self.code = code
        super().__init__(f"the platform rejects the credentials: {code} {message}")


class CredentialsMissing(PlatformError):
    """The owner must act: ``what`` is not configured, so there is nothing to ask the platform with (exit 78)."""

    def __init__(self, what: str) -> None:
        super().__init__(f"nothing to log in with: {what}")


class PlatformUnavailable(PlatformError):
    """No one must act: network or platform is down, a later attempt may succeed."""

    def __init__(self, reason: str, *, retry_after: float | None = None) -> None:
        self.reason = reason
        self.retry_after = retry_after
        super().__init__(f"the platform is unavailable: {reason}")


class Malformed(PlatformUnavailable):
    """The answer is malformed: HTML instead of JSON, a cut body, a missing field. May pass, like an outage."""


class Throttled(PlatformError):
    """We must wait: the whole ``group`` is stopped for ``retry_after`` platform seconds."""

    def __init__(self, retry_after: float, group: str) -> None:
        self.retry_after = retry_after
        self.group = group
        super().__init__(f"rate limit of group {group} reached, next request in {retry_after:.0f} s")


class PermissionDenied(PlatformError):
    """An administrator must act: the app or the user lacks ``permission``."""

    def __init__(self, permission: str, code: str, message: str) -> None:
        self.permission = permission
        self.code = code
        super().__init__(f"permission {permission or 'unknown'} is missing: {code} {message}")


class NotFound(PlatformError):
    """The thing asked for does not exist (any more)."""

    def __init__(self, code: str, message: str) -> None:
        self.code = code
        super().__init__(f"not found: {code} {message}")


class BadRequest(PlatformError):
    """Our request was wrong: a defect or a wrong setting; repeating it is useless."""

    def __init__(self, code: str, message: str, *, status: int = 400) -> None:
        self.code = code
        self.status = status
        super().__init__(f"the platform refuses the request: {code} {message}")


class SyncExpired(BadRequest):
    """The synchronisation token is too old: read everything once more."""
