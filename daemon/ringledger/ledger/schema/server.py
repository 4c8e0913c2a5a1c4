"""Tables that the ledger has on a server alone, where several processes write: who writes, and for which account.

What must stay true: a process that writes has one row in ``writer``, which each of its transactions counts; an account
is worked for by the holder of its row in ``lease``. Both tell of processes, not of calls: a copy leaves them out.
"""

from typing import Final

from sqlalchemy import Column, MetaData, Table, Text

from ringledger.ledger.schema.tables import WHOLE, metadata

server_metadata: Final = MetaData(naming_convention=metadata.naming_convention)
_text: Final = Text(collation="C")

#: ``token``: of one run of one process; ``seen_until``: it is alive until then, if nothing is heard of it.
writer: Final = Table(
    "writer",
    server_metadata,
    Column("token", _text, primary_key=True, nullable=False),
    Column("commits", WHOLE, nullable=False),
    Column("process", _text, nullable=False),
    Column("since", _text, nullable=False),
    Column("seen_until", _text, nullable=False),
)

#: ``name``: the account's in the configuration, empty for the only one; ``holder``: a token, empty when nobody has it.
lease: Final = Table(
    "lease",
    server_metadata,
    Column("name", _text, primary_key=True, nullable=False),
    Column("account_id", _text, nullable=True),
    Column("holder", _text, nullable=False),
    Column("process", _text, nullable=False),
    Column("term", WHOLE, nullable=False),
    Column("taken_at", _text, nullable=False),
    Column("expires_at", _text, nullable=False),
)
