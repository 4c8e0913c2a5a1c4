"""SIGHUP: read the configuration, validate all of it, take over what may change, else keep what is in force.

What must stay true: a wrong file changes nothing; only keys of ``RELOADABLE`` change in a running daemon, the others
are named as needing a restart.
"""

from collections.abc import Callable, Mapping
from typing import Any

from pydantic import BaseModel

from ringledger.layers import SettingsError
from ringledger.logs import LOG, Event, configure_logging
from ringledger.settings import RELOADABLE, Settings


def reloaded(current: Settings, load: Callable[[], Settings]) -> Settings:
    """The settings in force from now on; logs what was taken over or why nothing was. Raises ``SettingsError``."""
    try:
        wanted = load()
    except SettingsError as error:
        LOG.error(Event.CONFIG_REJECTED, problems=list(error.problems))
        raise
    changed = current.differences(wanted)
    live = [key for key in changed if key in RELOADABLE]
    merged = merge(current, wanted, live)
    if any(key.startswith("log.") for key in live):
        configure_logging(merged.log.level, merged.log.format, merged.log.numbers)
    LOG.info(Event.CONFIG_RELOADED, keys=live, restart_needed=[key for key in changed if key not in RELOADABLE])
    return merged


def merge(current: Settings, wanted: Settings, keys: list[str]) -> Settings:
    """``current`` with the values of ``wanted`` for these dotted keys."""
    sections: dict[str, dict[str, Any]] = {}
    for key in keys:
        section, _, name = key.partition(".")
        sections.setdefault(section, {})[name] = getattr(getattr(wanted, section), name)
    return current.model_copy(update=dict(_sections(current, sections)))


def _sections(current: Settings, updates: Mapping[str, dict[str, Any]]) -> list[tuple[str, BaseModel]]:
    return [(name, getattr(current, name).model_copy(update=values)) for name, values in updates.items()]
