"""What a subscription asks for: the event filters of the extensions that are watched."""

from collections.abc import Iterable
from typing import Final

#: What is asked of an extension's presence: its calls, and whose calls they really are.
PRESENCE: Final = (
    "/restapi/v1.0/account/{account}/extension/{extension}/presence?detailedTelephonyState=true&sipData=true"
)


def presence_filters(account: str, extensions: Iterable[str]) -> list[str]:
    """One filter for each extension, all in one subscription."""
    return [PRESENCE.format(account=account, extension=extension) for extension in extensions]
