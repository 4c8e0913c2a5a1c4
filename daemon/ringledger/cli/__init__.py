"""The command line: one file per family of commands, and nothing in it that another room needs.

What must stay true: a message to a person is one line on standard error (what, where, what to do), never a traceback;
the exit code is one of :class:`~ringledger.exits.Exit`; readers open the database read-only.
"""

from ringledger.cli.app import main

__all__ = ["main"]
