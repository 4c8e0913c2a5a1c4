"""Where configuration values come from (file, systemd credentials, environment, overrides), and telling it.

Each source becomes a `Layer`: nested values, and for each dotted key the origin shown to people. Nothing is
judged here but what only the source can tell (TOML that does not parse, a secret file that cannot be read).
No value is ever put into a message.
"""

import difflib
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from pydantic_settings import BaseSettings, EnvSettingsSource
from pydantic_settings.exceptions import SettingsError as UnparsableVariableError

from ringledger.rights import refusal

PREFIX = "RINGLEDGER_"
NOT_SETTINGS = frozenset({"RINGLEDGER_CONFIG"})
CREDENTIALS = ("client_id", "client_secret", "jwt", "username", "extension", "password")
#: What to do about credentials that are not there; the same words wherever it is said.
ADVICE: Final = (
    "put client_id, client_secret and jwt into files of these names in /etc/ringledger, mode 0600, owner root "
    "(systemd gives them to the service, commands of root find them there), or name files by the *_file keys"
)
#: How the origin of a secret begins, or what is in it, that was asked for and is not there.
NOT_GIVEN: Final = "no credential"
UNREADABLE: Final = "cannot be read"

_HEADER = re.compile(r"\s*(\[\[?)\s*([\w.\-\s\"']+?)\s*\]")
_KEY = re.compile(r"\s*([\w.\-\"']+)\s*=")


class SettingsError(ValueError):
    """The configuration is wrong. `problems` holds one line for each thing to mend; exit code 78."""

    def __init__(self, *problems: str) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class SecretUnreadable(Exception):
    """A file with a secret is there, and this process may not read it."""


@dataclass(frozen=True)
class Layer:
    """Values as nested mappings, and the origin of each dotted key (`log.level`, `webhooks.0.url`)."""

    values: dict[str, Any] = field(default_factory=dict)
    origins: dict[str, str] = field(default_factory=dict)


def flatten(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted keys and values; lists of tables count their entries from 0."""
    for name, value in values.items():
        key = f"{prefix}{name}"
        if isinstance(value, Mapping):
            yield from flatten(value, f"{key}.")
        elif isinstance(value, list) and any(isinstance(entry, Mapping) for entry in value):
            entries = {str(i): entry for i, entry in enumerate(value)}
            yield from flatten(entries, f"{key}.")
        else:
            yield key, value


def merge(layers: list[Layer]) -> Layer:
    """Later layers win, key by key; a list is replaced as a whole."""
    merged = Layer()
    for layer in layers:
        for section, values in layer.values.items():
            known = merged.values.get(section)
            both = isinstance(known, dict) and isinstance(values, Mapping)
            if not both:
                _forget(merged.origins, section)
            merged.values[section] = {**known, **values} if both else values  # type: ignore[dict-item]
        merged.origins.update(layer.origins)
    return merged


def _forget(origins: dict[str, str], section: str) -> None:
    for key in [key for key in origins if key.startswith(f"{section}.")]:
        del origins[key]


def from_file(path: Path) -> Layer:
    """Reads TOML; every key's origin is FILE:LINE. Raises SettingsError when it cannot be read or parsed."""
    try:
        text = path.read_text(encoding="utf-8")
        values = tomllib.loads(text)
    except PermissionError as error:
        raise SettingsError(f"{path}: {refusal(path) or f'cannot be read: {error.strerror}'}") from None
    except OSError as error:
        raise SettingsError(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise SettingsError(f"{path}: is not UTF-8 text") from None
    except ValueError as error:  # also for a number of thousands of digits
        raise SettingsError(f"{path}: is not TOML: {error}") from None
    except RecursionError:
        raise SettingsError(f"{path}: is nested too deeply") from None
    lines = dict(_lines(text))
    origins = {key: f"{path}:{_line(lines, key)}" for key, _ in flatten(values)}
    return _with_secret_files(Layer(values, origins), path.parent)


def _lines(text: str) -> Iterator[tuple[str, int]]:
    section = ""
    entries: dict[str, int] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        if header := _HEADER.match(line):
            section = re.sub(r"[\s\"']", "", header[2])
            if header[1] == "[[":
                entries[section] = entries.get(section, -1) + 1
                section = f"{section}.{entries[section]}"
            yield section, number
        elif key := _KEY.match(line):
            name = re.sub(r"[\"']", "", key[1])
            yield (f"{section}.{name}" if section else name), number


def _line(lines: Mapping[str, int], key: str) -> int:
    """The key's own line, or that of the table or inline table it stands in."""
    while key not in lines and "." in key:
        key = key.rpartition(".")[0]
    return lines.get(key, 1)


class _Environment(EnvSettingsSource):
    """pydantic-settings' reading of variables, from a mapping that is handed in."""

    def __init__(self, settings: type[BaseSettings], env: Mapping[str, str]) -> None:
        self._given = {name.lower(): value for name, value in env.items()}
        super().__init__(settings)

    def _load_env_vars(self) -> Mapping[str, str | None]:
        return self._given


def from_environment(settings: type[BaseSettings], env: Mapping[str, str]) -> Layer:
    """Takes RINGLEDGER_SECTION__KEY; a section no setting belongs to is kept, to be refused as unknown."""
    names = [n for n in env if n.upper().startswith(PREFIX) and n.upper() not in NOT_SETTINGS]
    try:
        values = dict(_Environment(settings, {name: env[name] for name in names})())
    except UnparsableVariableError:
        raise SettingsError(f"environment: one of {', '.join(sorted(names))} is not JSON") from None
    origins = {key: _variable(key, names) for key, _ in flatten(values)}
    for name in names:
        path = name[len(PREFIX) :].lower().split("__")
        if path[0] not in settings.model_fields:
            values.setdefault(path[0], {})[".".join(path[1:])] = None
            origins[".".join(path)] = name.upper()
    return _with_secret_files(Layer(values, origins), Path.cwd())


def _variable(key: str, names: list[str]) -> str:
    """The variable that set the key: its own, or one that holds a whole section as JSON."""
    wanted = PREFIX + key.upper().replace(".", "__")
    held = [name.upper() for name in names if (wanted + "__").startswith(name.upper() + "__")]
    return max(held, key=len, default=wanted)


def from_credentials(env: Mapping[str, str], installed: Path | None = None) -> tuple[Layer, dict[str, str]]:
    """Reads systemd's `$CREDENTIALS_DIRECTORY`, files named like the keys of `[credentials]`.

    A process that systemd gives none (somebody's command) reads the same files where the service has them from: in the
    directory `installed`, as far as it may. Returns what was found, and for each key whose file it may not read why.
    """
    given = env.get("CREDENTIALS_DIRECTORY", "")
    directory = Path(given) if given else installed
    found: dict[str, tuple[str, str]] = {}
    closed: dict[str, str] = {}
    for name in CREDENTIALS if directory is not None else ():
        path = Path(directory or "") / name
        text, origin = _credential(path, f"credential {name}" if given else str(path))
        if text:
            found[name] = origin, text  # the unit gives an empty one where there is no file: nothing is set by that
        elif origin:
            closed[f"credentials.{name}"] = origin
    origins = {f"credentials.{name}": origin for name, (origin, _) in found.items()}
    values = {name: text for name, (_, text) in found.items()}
    return Layer({"credentials": values} if values else {}, origins), closed


def _credential(path: Path, origin: str) -> tuple[str, str]:
    """The text of a credential and where it is from; both empty when there is none."""
    try:
        text = _secret(path, origin) if path.is_file() else ""
    except SecretUnreadable as error:
        return "", str(error)
    except OSError:  # the directory is closed to us: whether there is one cannot be known
        return "", ""
    return text, origin if text else ""


def with_webhook_credentials(layer: Layer, env: Mapping[str, str], installed: Path | None) -> Layer:
    """Fills the `secret` of webhooks that name a systemd credential: `webhook_NAME` is `/etc/ringledger/webhooks/NAME`.

    One that is not there, or that this process may not read, leaves it empty, and its origin says so.
    """
    given = env.get("CREDENTIALS_DIRECTORY", "")
    hooks = layer.values.get("webhooks")
    for i, hook in enumerate(hooks if isinstance(hooks, list) else []):
        name = hook.get("secret_credential") if isinstance(hook, dict) else None
        if not isinstance(name, str) or not name or "/" in name:
            continue  # what is no name is refused later
        where = layer.origins.get(f"webhooks.{i}.secret_credential", "webhooks")
        if hook.get("secret"):
            raise SettingsError(f"{where}: webhooks.{i}.secret_credential: webhooks.{i}.secret is set too; keep one")
        directory = Path(given) if given else installed
        text, origin = "", ""
        if directory is not None:
            places = [directory / name, directory / "webhooks" / name.removeprefix("webhook_")]
            found = (_credential(path, f"credential {name}" if given else str(path)) for path in places)
            text, origin = next((one for one in found if any(one)), ("", ""))
        if text:
            hook["secret"] = text
        layer.origins[f"webhooks.{i}.secret"] = origin or f"{NOT_GIVEN} {name}"
    return layer


def with_account_credentials(layer: Layer, env: Mapping[str, str], installed: Path | None) -> Layer:
    """Fills the credentials of accounts from systemd's: `account_NAME_KEY` is `/etc/ringledger/accounts/NAME/KEY`.

    A key that the table has, or has a file for, is left as it is; of one that this process may not read the origin
    says so.
    """
    given = env.get("CREDENTIALS_DIRECTORY", "")
    directory = Path(given) if given else installed
    accounts = layer.values.get("accounts")
    for i, account in enumerate(accounts if isinstance(accounts, list) and directory is not None else []):
        name = account.get("name") if isinstance(account, dict) else None
        if directory is None or not isinstance(name, str) or not name or "/" in name or name.startswith("."):
            continue  # what is no name is refused later
        for key in CREDENTIALS:
            if key in account or f"{key}_file" in account:
                continue
            path = directory / f"account_{name}_{key}" if given else directory / "accounts" / name / key
            text, origin = _credential(path, f"credential {path.name}" if given else str(path))
            if text or origin:  # one that is there and must not be read is not to be replaced by another account's
                account[key] = text
                layer.origins[f"accounts.{i}.{key}"] = origin
    return layer


def from_overrides(overrides: Mapping[str, Any]) -> Layer:
    """Takes nested mappings or dotted keys (`{"log.level": "debug"}`)."""
    values: dict[str, Any] = {}
    for key, value in overrides.items():
        section, dot, name = key.partition(".")
        if dot:
            values.setdefault(section, {})[name] = value
        elif isinstance(value, Mapping):
            values.setdefault(section, {}).update(value)
        else:
            values[section] = value
    return Layer(values, {key: "override" for key, _ in flatten(values)})


def _with_secret_files(layer: Layer, directory: Path) -> Layer:
    """Reads what the `*_file` keys name into the keys themselves; relative paths start at `directory`."""
    tables = [("credentials", layer.values.get("credentials"))]
    hooks = layer.values.get("webhooks")
    accounts = layer.values.get("accounts")
    for name, entries in (("webhooks", hooks), ("accounts", accounts)):
        tables += [(f"{name}.{i}", one) for i, one in enumerate(entries if isinstance(entries, list) else [])]
    for prefix, table in tables:
        if isinstance(table, dict):
            for name in [n for n in table if n.endswith("_file") and isinstance(table[n], str) and table[n]]:
                _take_file(layer, prefix, table, name, directory)
    return layer


def _take_file(layer: Layer, prefix: str, table: dict[str, Any], name: str, directory: Path) -> None:
    target, origin = name.removesuffix("_file"), layer.origins[f"{prefix}.{name}"]
    if target not in CREDENTIALS and target != "secret":
        return  # an unknown key, refused later with its nearest known one
    if table.get(target):
        raise SettingsError(f"{origin}: {prefix}.{name}: {prefix}.{target} is set too; keep one of the two")
    try:
        table[target] = _secret(directory / table[name], f"{origin}: {prefix}.{name}")
        layer.origins[f"{prefix}.{target}"] = f"{origin} ({name})"
    except SecretUnreadable as error:  # not ours to read: whoever needs it says so
        layer.origins[f"{prefix}.{target}"] = str(error)


def _secret(path: Path, where: str) -> str:
    try:
        return path.read_text(encoding="utf-8").strip()
    except PermissionError as error:
        named = where if where == str(path) else f"{where}: {path}"
        raise SecretUnreadable(f"{named} {UNREADABLE}: {error.strerror}") from None
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "is not UTF-8 text"
        raise SettingsError(f"{where}: {path} cannot be read: {reason}") from None


def without_password(url: str) -> str:
    """A URL without the password it may hold, before its host or among its parameters."""
    hidden = re.sub(r"(://[^/?#@:]*):[^/?#]*@", r"\1:***@", url)
    return re.sub(r"([?&]password=)[^&]*", r"\1***", hidden)


def problem(details: Any, origins: Mapping[str, str], known: list[str]) -> str:
    """One of pydantic's errors as a line for a person; `known`: every key there is."""
    key = _key_of(details["loc"], origins)
    if details["type"] == "extra_forbidden":
        nearest = _nearest(key, known)
        return f"{_origin(key, origins)}: unknown key {key}" + (f"; nearest known: {nearest}" if nearest else "")
    if details["type"] == "missing":
        return told(key, origins, "is missing")
    allowed = _allowed(details)
    return told(key, origins, f"{_found(key, details['input'])}, allowed: {allowed}")


#: What a value should be, by the validator's name for what it is not.
_WANTED: Final = {
    "int_parsing": "a whole number",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "int_parsing_size": "a whole number that is not so large",
    "float_parsing": "a number",
    "float_type": "a number",
    "finite_number": "a finite number",
    "bool_parsing": "true or false",
    "bool_type": "true or false",
    "string_type": "a string",
    "tuple_type": "a list",
    "list_type": "a list",
    "model_type": "a table",
    "model_attributes_type": "a table",
    "dict_type": "a table",
}


def _allowed(details: Any) -> str:
    """What would have been taken, in this program's words."""
    if wanted := _WANTED.get(details["type"]):
        return f"should be {wanted}"
    return re.sub(r"^(Value error, |Input )", "", str(details["msg"]))


def told(key: str, origins: Mapping[str, str], text: str) -> str:
    """A problem with one key, where it was set first. No colon follows the name of a secret: what comes after one is
    taken for its value and hidden.
    """
    return f"{_origin(key, origins)}: {key}" + (f" {text}" if key.startswith(SECRET) else f": {text}")


def _origin(key: str, origins: Mapping[str, str]) -> str:
    """Where the key was set, or where something inside it or beside it was."""
    for prefix in (key, key.rpartition(".")[0]):
        inside = [origin for name, origin in origins.items() if prefix and f"{name}.".startswith(f"{prefix}.")]
        if inside:
            return inside[0]
    return "default"


def _key_of(loc: tuple[int | str, ...], origins: Mapping[str, str]) -> str:
    """The dotted key: without the index of a list's item, with that of a list of tables."""
    parts = [str(part) for part in loc]
    while len(parts) > 1 and parts[-1].isdecimal() and ".".join(parts) not in origins:
        parts.pop()
    return ".".join(parts)


#: Sections whose values are never shown.
SECRET: Final = ("credentials", "webhooks", "accounts")
#: What TOML calls a value that is not shown.
_KINDS: Final[Mapping[type, str]] = {
    str: "a string", int: "an integer", float: "a float", bool: "a boolean", list: "an array", dict: "a table",
}  # fmt: skip


def _found(key: str, value: object) -> str:
    """What was found, for a message: short, and never a secret."""
    if key.startswith(SECRET) or isinstance(value, Mapping):
        return f"found {_KINDS.get(type(value), 'something else')} (not shown)"
    return f"found {without_password(value)[:60]!r}" if isinstance(value, str) else f"found {value!r:.60}"


def _nearest(key: str, known: list[str]) -> str:
    """The same name in another section, else whatever looks most alike."""
    if "." not in key:
        known = [*known, *{name.partition(".")[0] for name in known}]
    same_name = [name for name in known if name.rpartition(".")[2] == key.rpartition(".")[2]]
    matches = difflib.get_close_matches(key, known, n=1, cutoff=0.6)
    return [*same_name, *matches, ""][0]
