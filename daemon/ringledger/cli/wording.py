"""What is wrong with a command line, in this program's words: the option parser's own are another program's.

What must stay true: a message names the option or argument, what was typed, and what would be taken.
"""

import difflib
import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

#: What a value should have been, by the validator's name for what it is not.
_KINDS: Final[Mapping[str, str]] = {
    "int_parsing": "is no whole number",
    "int_parsing_size": "is too large a number",
    "int_from_float": "is no whole number",
    "int_type": "is no whole number",
    "float_parsing": "is no number",
    "float_type": "is no number",
    "finite_number": "is no number",
    "bool_parsing": "is neither true nor false",
    "path_type": "is no path",
}
_BOUNDS: Final[Mapping[str, tuple[str, str]]] = {
    "greater_than_equal": ("ge", "should be at least"),
    "greater_than": ("gt", "should be more than"),
    "less_than_equal": ("le", "should be at most"),
    "less_than": ("lt", "should be less than"),
}


def usage_text(error: Any) -> str:
    """One line for an error of the option parser, without a trailing full stop."""
    context = getattr(error, "ctx", None)
    path = context.command_path if context is not None else "ringledger"
    return f"{_said(error, context)}; see {path} --help"


def _said(error: Any, context: Any) -> str:
    text = (getattr(error, "message", "") or "").rstrip(".")
    match type(error).__name__:
        case "NoSuchOption":
            return f"{error.option_name}: no such option{_nearest(error.option_name, _options(context))}"
        case "BadOptionUsage":
            needs = "takes no value" if "not take a value" in text else "needs a value"
            return f"{error.option_name} {needs}"
        case "NoArgsIsHelpError":
            return "no command was given"
        case "MissingParameter":
            return f"{_name(error)} is missing{_choices(error)}"
        case "BadParameter":
            return _bad_value(error, text)
    if found := re.match(r"No such command '(.*?)'(?:[. ]|$)", text):
        known = context.command.list_commands(context) if context is not None else []
        return f"{found[1]}: no such command{_nearest(found[1], known)}"
    if found := re.search(r"unexpected extra arguments?(?:\(s\))? \((.*)\)$", text):
        return f"{found[1]!r}: more than this command takes"
    return text or "no command was given"


def _bad_value(error: Any, text: str) -> str:
    problem, text = _first_problem(error.__cause__), text.removeprefix("Value error, ")
    if problem is None:
        if found := re.match(r"'(.*?)' is not one of (.*)$", text, re.DOTALL):
            return f"{_name(error)} {found[1]!r} is none of {found[2].replace(chr(39), '')}"
        return f"{_name(error)} {text}"
    kind, typed, limits = problem["type"], problem.get("input"), problem.get("ctx") or {}
    shown = f"{_name(error)} {str(typed)[:60]!r}" if isinstance(typed, str | int | float) else _name(error)
    if kind in _BOUNDS:
        key, words = _BOUNDS[kind]
        return f"{shown} {words} {limits.get(key)}"
    if kind in {"literal_error", "enum"}:
        return f"{shown} is none of {str(limits.get('expected', '')).replace(chr(39), '').replace(' or ', ', ')}"
    return f"{shown} {_KINDS.get(kind, 'is nothing this command can take')}"


def _first_problem(cause: object) -> Mapping[str, Any] | None:
    """The first thing the validator has against a value; ``None``: it was not the validator that refused it."""
    errors = getattr(cause, "errors", None)
    found: list[Mapping[str, Any]] = errors() if callable(errors) else []
    return found[0] if found and found[0]["type"] not in {"value_error", "assertion_error"} else None


def _name(error: Any) -> str:
    """The option's longest spelling, or the argument's name."""
    param = getattr(error, "param", None)
    if param is None:
        return str(getattr(error, "param_hint", "") or "a value").strip("'")
    options = [one for one in param.opts if one.startswith("-")]
    return max(options, key=len) if options else str(param.metavar or param.human_readable_name)


def _choices(error: Any) -> str:
    found = re.search(r"Choose from:\s*(.*)", error.format_message(), re.DOTALL)
    return f": one of {' '.join(found[1].split()).rstrip('.')}" if found else ""


def _options(context: Any) -> list[str]:
    return [one for param in context.command.params for one in param.opts] if context is not None else []


def _nearest(typed: str, known: Iterable[str]) -> str:
    found = difflib.get_close_matches(typed, list(known), n=1, cutoff=0.6)
    return f"; did you mean {found[0]}?" if found else ""
