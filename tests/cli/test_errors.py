import errno
import json
import os

import pytest

from ringledger.cli.context import GlobalOptions
from ringledger.cli.errors import Failure, explained, told, usage
from ringledger.config.provenance import SettingsError
from ringledger.exits import Exit
from ringledger.ledger import errors as ledger
from ringledger.ringcentral import errors as platform


@pytest.mark.parametrize(
    ("value", "kind"), [("12345678", "an integer"), ("1.5", "a float"), ("true", "a boolean"), ("['a']", "an array")]
)
def test_a_secret_of_the_wrong_kind_is_told_in_plain_words(cli, clean, tmp_path, value, kind):
    path = tmp_path / "r.toml"
    path.write_text(f"[credentials]\nclient_id = 'a'\nclient_secret = {value}\njwt = 'x'\n")
    clean.setenv("RINGLEDGER_CONFIG", str(path))
    ended = cli("check-config")
    assert ended.code == 78
    allowed = "allowed: should be a string"
    assert ended.err == f"ringledger: {path}:3: credentials.client_secret found {kind} (not shown), {allowed}\n"


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE])
def test_too_many_open_files_blames_no_file(number):
    code, (line,) = explained(OSError(number, os.strerror(number), "/lib/innocent.py"))
    assert code is Exit.IO
    assert "ulimit" in line
    assert "innocent" not in line


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (SettingsError("a.toml:1: wrong"), 78),
        (usage("no"), 64),
        (Failure(Exit.DIFFERENCES, "different"), 1),
        (ledger.DatabaseNewer("newer"), 78),
        (ledger.DatabaseOutdated("older"), 78),
        (ledger.DatabaseForeign("foreign"), 65),
        (ledger.DatabaseMisplaced("a directory"), 78),
        (ledger.DatabaseCorrupt("corrupt"), 65),
        (ledger.LedgerLocked("locked"), 75),
        (ledger.LedgerBusy("busy"), 75),
        (ledger.LedgerFailing("failing"), 74),
        (ledger.DatabaseMissing("missing"), 74),
        (platform.CredentialsRejected("OAU-140", "no"), 77),
        (platform.CredentialsMissing("credentials.jwt is not set"), 78),
        (platform.PlatformUnavailable("down"), 69),
        (platform.Malformed("html"), 69),
        (platform.Throttled(30.0, "heavy"), 75),
        (platform.PermissionDenied("ReadCallLog", "CMN-408", "no"), 77),
        (OSError(28, "No space left on device"), 74),
        (PermissionError(13, "Permission denied", "/x"), 74),
        (KeyError("x"), 70),
        (ExceptionGroup("several", [platform.CredentialsRejected("x", "y")]), 77),
    ],
)
def test_every_error_has_its_exit_code_and_one_line(capsys, error, code):
    assert told(error) == code
    said = capsys.readouterr().err
    assert said.startswith("ringledger: ")
    assert said.count("\n") == 1


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "ringledger: no command was given; see ringledger --help\n"),
        (["db"], "ringledger: no command was given; see ringledger db --help\n"),
        (["stats", "--by", "x"], "ringledger: --by 'x' is none of hour, day"),
        (["auth", "status"], "ringledger: nothing to log in with: credentials.client_id is not set;"),
    ],
)
def test_a_line_says_what_is_wrong_in_words_for_people(cli, words, said):
    assert cli(*words).err.startswith(said)


def test_an_error_of_the_system_names_the_file():
    assert explained(PermissionError(13, "Permission denied", "/x/y"))[1] == ["/x/y: Permission denied"]


def test_a_secret_in_an_error_does_not_come_out(capsys):
    told(RuntimeError("request failed: Authorization: Bearer abcdefghijklmnop1234567890"))
    assert "abcdefghijklmnop" not in capsys.readouterr().err


def test_the_traceback_goes_to_the_log_at_debug_only(clean, capsys):
    options = GlobalOptions()
    try:
        raise ZeroDivisionError("oops")
    except ZeroDivisionError as error:
        told(error, options)
        assert "Traceback" not in capsys.readouterr().err
        clean.setenv("RINGLEDGER_LOG__LEVEL", "debug")
        clean.setenv("RINGLEDGER_LOG__FORMAT", "json")
        told(error, options)
    first, last = capsys.readouterr().err.splitlines()
    assert "Traceback" in json.loads(first)["exception"]
    assert last.startswith("ringledger: internal error: ZeroDivisionError: oops")


def test_a_timeout_is_input_output():
    assert explained(TimeoutError())[0] is Exit.IO
