"""What the user and the app may do: everything, unless a test takes a permission away.

Names are the platform's own: ReadCallLog, ReadCompanyCallLog (the administrator's), ReadPresence, RingOut, SMS,
OutboundSMS, InternalMessages, InternalSMS.
"""

from ringledger.simulator.rest.answers import ApiError

APP = frozenset({"ReadAccounts", "ReadCallLog", "ReadPresence", "RingOut", "SMS", "InternalMessages"})
ADMIN = "ReadCompanyCallLog"


class Permissions:
    """``missing`` may be changed at any time."""

    def __init__(self, *, admin: bool = True, missing: frozenset[str] = frozenset()) -> None:
        self.missing = set(missing) | (set() if admin else {ADMIN})

    def require(self, *names: str) -> None:
        """Raise the 403 body for the first of ``names`` that is missing."""
        for name in names:
            if name in self.missing:
                raise refusal(name)


def refusal(name: str) -> ApiError:
    """Missing permission: of the app (CMN-401), of an administrator (CMN-402), of the user (CMN-408)."""
    code = "CMN-401" if name in APP else "CMN-402" if name == ADMIN else "CMN-408"
    message = f"In order to call this API endpoint, one needs to have [{name}] permission"
    entry = {"errorCode": code, "message": message, "permissionName": name}
    outer = {"errorCode": "InsufficientPermissions", "message": message, "permissionName": name}
    return ApiError(403, {**outer, "errors": [entry]})
