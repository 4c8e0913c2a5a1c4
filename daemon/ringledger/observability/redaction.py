"""What may leave the process in a log line: no secret at any level, of a phone number its last four digits.

What must stay true: `Redactor` is the last step before rendering, for our lines and those of libraries; only of lines
whose fields are declared beforehand (`redact`) it passes over the times, figures and words that are our own. Secrets
are known by the name of their field and, in any text, by their shape. Phone numbers are known by the name of
their field and, in any text, by a leading `+`, by their punctuation, or by a word such as `from` before them.
Digits that are not phone numbers (session ids, sequence numbers, times, timetokens) stay as they are.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from collections.abc import Set as AbstractSet
from functools import lru_cache
from itertools import islice
from typing import Any, Literal

from pydantic import SecretBytes, SecretStr

REDACTED = "[redacted]"
DEEPEST = 12
#: Characters of a text that a log line keeps, and entries of a list or a mapping: what a stranger sends is no longer
#: in the log than this. A traceback, which is ours, has its own bound.
LONGEST = 2048
LONGEST_TRACEBACK = 65_536
MOST_ENTRIES = 100
#: Field names whose redaction is remembered.
MOST_NAMES = 256
#: Short values come again and again (statuses, numbers, extensions): so many redactions are remembered, of texts that
#: are no longer than this.
MOST_VALUES = 2048
SHORT = 64

_SECRET_ENDINGS = (
    "token",
    "secret",
    "password",
    "passwd",
    "assertion",
    "jwt",
    "authorization",
    "cookie",
    "apikey",
    "authkey",
    "cipherkey",
    "encryptionkey",
    "privatekey",
    "publishkey",
    "secretkey",
    "signingkey",
    "subscribekey",
    "subscriberkey",
)
_NO_SECRETS = frozenset({"timetoken"})  # PubNub's word for a position
_NUMBER_NAMES = frozenset({"from", "to", "caller", "callee", "callerid", "ani", "dnis", "username", "msisdn"})
#: Kinds of field whose whole numbers stay as they are.
_COUNTABLE = frozenset({"plain", "text", "traceback"})
_NO_PHONE_NUMBERS = ("sequencenumber", "extensionnumber", "linenumber", "portnumber")
_PLAIN_ENDINGS = (
    "id",
    "uuid",
    "at",
    "ms",
    "sequence",
    "timestamp",
    "timetoken",
    "position",
    "revision",
    "hash",
)

#: What follows the name of a file in a message: a line, and words such as `is no directory`. Keys are no such words.
_ABOUT_A_FILE = re.compile(r":(?:\d{1,7}:)? [A-Za-z]{1,14} [A-Za-z]")
_PATH = re.compile(r"(?:^|(?<=[\s\"'(]))(?:~|\.{0,2})/[\w.@/+-]*$")


def _hide_named(match: re.Match[str]) -> str:
    """The name stays, its value goes; `/etc/passwd: no such file` names a file and has no value."""
    name, colon, _ = match[1].partition(":")
    at = match.start() + len(name)
    if (
        colon
        and name[-1].isalpha()
        and _ABOUT_A_FILE.match(match.string, at)
        and _PATH.search(match.string[: match.start()])
    ):
        return match[0]
    return f"{match[1]}{REDACTED}"


_NAMED = (
    r"access_?token|refresh_?token|id_?token|ws_?token|token|assertion|jwt|password|passwd|client_?secret|secret"
    r"|authorization|auth_?key|auth|api_?key|cipher_?key|encryption_?key|private_?key|subscriber?_?key|publish_?key"
    r"|secret_?key|set-cookie|cookie"
)
_SECRETS: tuple[tuple[re.Pattern[str], str | Callable[[re.Match[str]], str]], ...] = (
    (re.compile(r"(?i)\b(bearer|basic)(\s+|%20)[\w.~+/=-]{4,}"), rf"\1 {REDACTED}"),
    (re.compile(r"\beyJ[\w-]{6,}(?:\.[\w-]*){0,4}"), REDACTED),
    (re.compile(r"\b(?:sub|pub|sec)-c-[\w=-]{4,}"), REDACTED),
    (
        re.compile(
            rf"""(?i)(?<![a-z])((?:{_NAMED})\\*["']?\s*[=:]\s*)(?!{re.escape(REDACTED)}|bearer |basic )
            (?: \\*"[^"\\]*\\*" | '[^']*' | [^\s"'&,;)}}\]]+ )""",
            re.VERBOSE,
        ),
        _hide_named,
    ),
    (re.compile(r"(?i)(://[^/\s:@]*:)[^/\s@]+(?=@)"), rf"\1{REDACTED}"),
)
#: One of these is in every text that one of the patterns finds. Looking for each is far cheaper than one expression.
_SUSPICIOUS = ("bearer", "basic", "eyj", "-c-", "token", "assertion", "jwt", "passw", "secret", "auth", "key", "cookie",
               "://")  # fmt: skip
#: Ids, counters, times and telephony sessions: nothing in such a text can be a secret.
_no_secret = re.compile(r"[0-9T:.Z-]*|s-[0-9a-fz]*").fullmatch
#: What nearly every telephone number is; :func:`mask_number` and the patterns below come to the same.
_plain_number = re.compile(r"(\+?)([0-9]{3,11})([0-9]{4})").fullmatch
_LONG = re.compile(r"(?<![\w+/=-])(?:[A-Za-z0-9+_-]|/(?=[A-Za-z0-9+/_-]*[A-Z0-9+])){32,}={0,2}")
#: What the parts of a file's name are: words, maybe with a number behind them, numbers and times.
_PARTS = re.compile(r"[/_.+-]+")
_WORD = re.compile(
    r"[A-Z]?[a-z]*|[A-Z]*|(?:[A-Z]?[a-z]{3,}|[A-Z]{3,})[0-9]{1,4}|[a-z]{1,2}[0-9]{1,2}|[0-9]{1,9}|[0-9]{8}T[0-9]{6}Z"
)
#: What follows the name of a file that says what is in it.
_ENDING = re.compile(r"(?:/[a-z_-]+)*\.[a-z]{2,8}\b")
_MOMENT = re.compile(r"[0-9]{8}T[0-9]{6}Z")
_UUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_TELEPHONY_SESSION = re.compile(r"s-[0-9a-f]+z[0-9a-f]+z[0-9a-f]+")

_NUMBERS = (
    re.compile(r"(?:(?<!\d)\+|%2[Bb])\d(?:[ ().-]{0,2}\d){6,14}(?!\d)"),
    re.compile(r"(?<![\w-])(?:1[ .-])?(?:\(\d{3}\) ?|\d{3}[ .-])\d{3}[ .-]\d{4}(?![\w-])"),
    re.compile(
        r"""(?ix)(?<![a-z])
            (?: from | to | call(?:er|ee) | caller_?id | dialled
            | (?:\w*_)?(?:phone_?)?number | user_?name | tel | sips? )
            \\*["']? (?: \s*[:=]\s* | \s+ ) [\[(]? \\*["']? \+?\d{10,15} (?!\d)"""
    ),
)
_ANY_DIGIT = re.compile(r"\d")
_DIGITS = re.compile(r"\d(?=(?:\D*\d){4})")


def mask_number(text: str) -> str:
    """A phone number with all digits but the last four as `*`; short (extension) numbers stay."""
    return _DIGITS.sub("*", text) if sum(map(str.isdigit, text)) >= 7 else text


def _mask_match(match: re.Match[str]) -> str:
    text = match[0]
    prefix = 3 if text[:3].lower() == "%2b" else 0  # its `2` is no digit of the number
    return text[:prefix] + mask_number(text[prefix:])


def _hide_long(match: re.Match[str]) -> str:
    """Long opaque strings are taken for tokens, also as one part of an address; UUIDs, telephony sessions, words,
    numbers and files' names are not.
    """
    text = match[0]
    if _names_a_file(match):
        return text
    parts = [REDACTED if len(part) >= 32 and _is_opaque(part) else part for part in text.split("/")]
    if REDACTED in parts and all(part == REDACTED or _WORD.fullmatch(part) for part in parts):
        return "/".join(parts)
    return REDACTED if REDACTED in parts or _is_opaque(text) else text


def _is_opaque(text: str) -> bool:
    if _UUID.fullmatch(text) or _TELEPHONY_SESSION.fullmatch(text):
        return False
    digit, letter = re.search(r"\d", text), re.search(r"[A-Za-z]", text)
    hexadecimal = re.fullmatch(r"[0-9a-fA-F]+", text)
    mixed = re.search(r"[A-Z]", text) and re.search(r"[a-z]", text)
    return bool(digit and letter and (hexadecimal or mixed))


def _names_a_file(match: re.Match[str]) -> bool:
    """Whether a long string is part of a path, or the name of a file, all of whose parts are words, numbers or times:
    `/srv/Ann/Exports/ringledger-20261129T125400Z`. Chance makes no such thing of a token.
    """
    parts = _PARTS.split(match[0])
    if not all(map(_WORD.fullmatch, parts)):
        return False
    if any(map(_MOMENT.fullmatch, parts)) or _ENDING.match(match.string, match.end()):
        return True
    return _PATH.search(match.string[: match.end()]) is not None


class Redactor:
    """Rewrites values of any nesting; usable as the last structlog processor."""

    def __init__(self, *, mask_numbers: bool = True) -> None:
        self._mask_numbers = mask_numbers
        self._names: dict[str, tuple[str, str]] = {}
        self._short = lru_cache(maxsize=MOST_VALUES)(self._of_kind)

    def __call__(self, _logger: Any, _method: str, event: Mapping[str, Any]) -> dict[str, Any]:
        """The whole event dict, as structlog calls its processors. The commonest fields need no further call."""
        result: dict[str, Any] = {}
        for name, value in event.items():
            shown, kind = self._names.get(name) or self._name(str(name))
            if type(value) is str and kind != "secret" and len(value) <= SHORT:
                result[shown] = value if kind == "plain" and _no_secret(value) else self._short(value, kind)
            elif value is None or (type(value) is int and kind in _COUNTABLE):
                result[shown] = value
            else:
                result[shown] = self._value(value, str(name), kind, 0)
        return result

    def redact(self, line: dict[str, Any], names: Iterable[str]) -> None:
        """Rewrite the values of these fields of a line, as :meth:`__call__` does; the names of the others, and what is
        in them, are known to hold nothing that has to be hidden.
        """
        names_known, short = self._names, self._short
        for name in names:
            value = line.get(name)
            if value is not None:
                kind = (names_known.get(name) or self._name(name))[1]
                if type(value) is str and kind != "secret" and len(value) <= SHORT:
                    if kind != "plain" or not _no_secret(value):
                        line[name] = short(value, kind)
                else:
                    line[name] = self._value(value, name, kind, 0)

    def _name(self, name: str) -> tuple[str, str]:
        """A field's name, redacted, and its kind; our own are few and come with every line."""
        known = self._names.get(name)
        if known is None:
            known = self.text(name), _kind(name)
            if len(self._names) < MOST_NAMES:
                self._names[name] = known
        return known

    def value(self, value: Any, name: str = "", depth: int = 0) -> Any:
        """A value known under `name`; the result is made of plain JSON types only."""
        return self._value(value, name, _kind(name), depth)

    def _value(self, value: Any, name: str, kind: str, depth: int) -> Any:
        if value is None:
            return None
        if kind == "secret":
            return REDACTED if value else value
        if type(value) is str:  # most are: before the slower tests
            return self._short(value, kind) if len(value) <= SHORT else self._of_kind(value, kind)
        if isinstance(value, SecretStr | SecretBytes):
            return REDACTED if value else value
        if isinstance(value, bool | float):
            return value
        if isinstance(value, int):
            return self._of_kind(str(value), kind) if kind == "number" else int(value)
        if isinstance(value, Mapping) and depth < DEEPEST:
            entries = islice(value.items(), MOST_ENTRIES)
            return {self.text(_cut(str(k))): self.value(v, str(k), depth + 1) for k, v in entries}
        if isinstance(value, list | tuple | AbstractSet) and depth < DEEPEST:
            return [self.value(item, name, depth + 1) for item in islice(value, MOST_ENTRIES)]
        return self._of_kind(_as_text(value), kind)

    def text(self, text: str) -> str:
        """Free text: messages, tracebacks, addresses, payloads."""
        text = _without_secrets(text)
        if len(text) >= 32:
            text = _LONG.sub(_hide_long, text)
        return self._without_numbers(text)

    def _without_numbers(self, text: str) -> str:
        if self._mask_numbers and len(text) >= 7 and _ANY_DIGIT.search(text):
            for pattern in _NUMBERS:
                text = pattern.sub(_mask_match, text)
        return text

    def _of_kind(self, text: str, kind: str) -> str:
        text = _cut(text, LONGEST_TRACEBACK if kind == "traceback" else LONGEST)
        if kind == "number":
            if self._mask_numbers and (plain := _plain_number(text)):
                return f"{plain[1]}{'*' * len(plain[2])}{plain[3]}"
            return mask_number(self.text(text)) if self._mask_numbers else self.text(text)
        return _without_secrets(text) if kind == "plain" else self.text(text)


@lru_cache(maxsize=1024)
def _kind(name: str) -> Literal["secret", "number", "plain", "text", "traceback"]:
    """What a field of this name holds; `plain`: ids, times and counters, whose digits are no phone number."""
    if name == "exception":
        return "traceback"
    key = re.sub(r"[^a-z]", "", name.lower())
    if key in {"auth", "credentials"} or (key.endswith(_SECRET_ENDINGS) and key not in _NO_SECRETS):
        return "secret"
    if key in _NUMBER_NAMES or (key.endswith(("number", "numbers")) and key not in _NO_PHONE_NUMBERS):
        return "number"
    return "plain" if key.endswith(_PLAIN_ENDINGS) else "text"


def _without_secrets(text: str) -> str:
    folded = text.casefold()
    if any(word in folded for word in _SUSPICIOUS):
        for pattern, replacement in _SECRETS:
            text = pattern.sub(replacement, text)
    return text


def _cut(text: str, longest: int = LONGEST) -> str:
    """The text, or its beginning and how much more there was."""
    return text if len(text) <= longest else f"{text[:longest]}… ({len(text) - longest} more characters)"


def _as_text(value: Any) -> str:
    if isinstance(value, str):
        return str(value)
    if isinstance(value, bytes | bytearray):
        return bytes(value).decode("utf-8", "backslashreplace")
    return f"{type(value).__name__}: {value}" if isinstance(value, BaseException) else str(value)
