"""What the process says with its exit code.

The numbers are those of sysexits.h where one fits. They are public and never change meaning; the systemd unit
refuses to restart on USAGE, DATA, CREDENTIALS and CONFIG, because trying again cannot help there.
"""

from enum import IntEnum


class Exit(IntEnum):
    """Exit codes of every command (contract section 3)."""

    OK = 0
    """Done; `run` and `simulate` ended by SIGTERM or SIGINT."""
    DIFFERENCES = 1
    """Not as hoped: differences or holes (`audit`, `replay --diff`, `coverage`, `db check`, `db copy`), warnings
    (`doctor`), a receiver that does not accept (`webhooks test`), something named that is not there (`calls show`,
    `webhooks retry`, `purge --number`) or cannot be taken yet (`quarantine retry`), a RingOut that is not known (any
    more) or too far to be cancelled, a purge that was not confirmed, a demonstration that failed (`demo`)."""
    USAGE = 64
    """The command line makes no sense, or a file named there is not what it should be (`replay`, `--scenario`)."""
    DATA = 65
    """The database is corrupt or not ringledger's."""
    UNAVAILABLE = 69
    """The platform cannot be reached (one-shot commands; the daemon keeps trying)."""
    INTERNAL = 70
    """A bug in ringledger."""
    IO = 74
    """Reading or writing failed."""
    TRY_AGAIN = 75
    """A passing state: the same command may succeed later; a call `ringout --follow` placed and saw no row of."""
    CREDENTIALS = 77
    """The platform has rejected the credentials for certain."""
    CONFIG = 78
    """The configuration is wrong or lacks the credentials, or names a database that cannot serve: of another schema
    than the program, one whose copying was broken off, one that does not let us in, a path where none can lie, a kind
    whose driver is missing."""


NO_RESTART = frozenset({Exit.USAGE, Exit.DATA, Exit.CREDENTIALS, Exit.CONFIG})
"""Codes on which a supervisor must not start the daemon again."""
