"""SIGHUP: read the configuration, validate all of it, take over what may change, else keep what is in force.

What must stay true: a wrong file changes nothing; only keys of ``RELOADABLE`` change in a running daemon, the others
are named as needing a restart. Where there are several accounts, they and what their tables fall back on change too.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

from pydantic import BaseModel

from ringledger.config.model import RELOADABLE, Settings
from ringledger.config.provenance import SettingsError
from ringledger.observability.logging import LOG, Event, configure_logging

#: What changes live where there are several accounts: those of a changed login begin anew, the others go on.
OF_ACCOUNTS: Final = ("accounts.", "platform.", "credentials.")


def reloaded(current: Settings, load: Callable[[], Settings]) -> Settings:
    """The settings in force from now on; logs what was taken over or why nothing was. Raises ``SettingsError``."""
    try:
        wanted = load()
    except SettingsError as error:
        LOG.error(Event.CONFIG_REJECTED, problems=list(error.problems))
        raise
    changed = current.differences(wanted)
    several = bool(current.accounts and wanted.accounts)
    live = [key for key in changed if key in RELOADABLE or (several and key.startswith(OF_ACCOUNTS))]
    merged = merge(current, wanted, live)
    if any(key.startswith("log.") for key in live):
        configure_logging(merged.log.level, merged.log.format, merged.log.numbers)
    LOG.info(Event.CONFIG_RELOADED, keys=live, restart_needed=[key for key in changed if key not in live])
    return merged


def merge(current: Settings, wanted: Settings, keys: list[str]) -> Settings:
    """``current`` with the values of ``wanted`` for these dotted keys."""
    sections: dict[str, dict[str, Any]] = {}
    accounts = current.accounts
    for key in keys:
        section, _, name = key.partition(".")
        if section == "accounts":
            accounts = wanted.accounts
        else:
            sections.setdefault(section, {})[name] = getattr(getattr(wanted, section), name)
    merged = current.model_copy(update={**dict(_sections(current, sections)), "accounts": accounts})
    return merged.told_as(wanted)


def _sections(current: Settings, updates: Mapping[str, dict[str, Any]]) -> list[tuple[str, BaseModel]]:
    return [(name, getattr(current, name).model_copy(update=values)) for name, values in updates.items()]
