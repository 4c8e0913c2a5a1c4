"""Whose account it is: the credentials of a configuration against the account its name stands for.

What must stay true: nothing of one account is written under the name of another.
"""

from ringledger.clock import now_ms
from ringledger.config.provenance import SettingsError
from ringledger.ledger.write.store import Ledger


class MistakenAccount(SettingsError):
    """The credentials are not those of the account whose name stands before them."""


async def identified(ledger: Ledger, name: str, account_id: str) -> None:
    """Return when the name stands for this account, as it does from now on if it is new. Raises ``MistakenAccount``."""
    known = await ledger.name_account(name, account_id, now_ms()) if name else account_id
    if known != account_id:
        raise MistakenAccount(
            f"the credentials are those of account {account_id}, and {name} stands for {known} in the ledger; correct "
            "them, or give that account a name of its own"
        )
