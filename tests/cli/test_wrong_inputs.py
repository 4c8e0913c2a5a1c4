"""A hundred wrong inputs: one line, the right code, no library's wording, no traceback."""

import json
import re

import pytest

from ringledger.exits import Exit
from tests import office

USAGE, CONFIG, DATA, IO, DIFFERENT = Exit.USAGE, Exit.CONFIG, Exit.DATA, Exit.IO, Exit.DIFFERENCES

#: How the libraries below speak: click, typer, pydantic, SQLAlchemy, SQLite, asyncio, aiohttp.
FOREIGN = re.compile(
    r"Invalid value|No such option|No such command '|Got unexpected|requires an argument|Missing (argument|option)|"
    r"is not one of|Input should|valid (integer|number|string)|unable to parse|Value error|Traceback|sqlalchemy|"
    r"malformed|\(byte \d|"
    r"aiohttp|pydantic|click|OperationalError|ValidationError|[A-Z]\w+Error\b|\[Errno|<class|None\b|object at 0x"
)

#: What is typed, the code, and words of the line.
TABLE = [
    # -- words that are none
    ("", USAGE, "no command was given"),
    ("callz", USAGE, "callz: no such command; did you mean calls?"),
    ("xyzzy", USAGE, "xyzzy: no such command"),
    ("db", USAGE, "no command was given"),
    ("db upgrad", USAGE, "did you mean upgrade?"),
    ("webhooks", USAGE, "no command was given"),
    ("webhooks lst", USAGE, "did you mean list?"),
    ("auth", USAGE, "no command was given"),
    ("auth whoami", USAGE, "whoami: no such command"),
    ("platform", USAGE, "no command was given"),
    ("platform call-logs", USAGE, "did you mean call-log?"),
    ("calls extra", USAGE, "extra: no such command"),
    ("ringout", USAGE, "no command was given"),
    ("active now", USAGE, "'now': more than this command takes"),
    ("calls show 1 2", USAGE, "'2': more than this command takes"),
    ("doctor me", USAGE, "more than this command takes"),
    # -- options
    ("--frobnicate", USAGE, "--frobnicate: no such option"),
    ("calls --limi 3", USAGE, "did you mean --limit?"),
    ("calls -x", USAGE, "-x: no such option"),
    ("stats --untill today", USAGE, "did you mean --until?"),
    ("coverage --direction in", USAGE, "--direction: no such option"),
    ("--config", USAGE, "--config needs a value"),
    ("calls --limit", USAGE, "--limit needs a value"),
    ("calls --since", USAGE, "--since needs a value"),
    ("calls --json=3", USAGE, "--json takes no value"),
    ("doctor --offline=yes", USAGE, "--offline takes no value"),
    ("backfill", USAGE, "--since is missing"),
    ("audit", USAGE, "is missing"),
    ("calls show", USAGE, "SESSION is missing"),
    ("db restore", USAGE, "FILE is missing"),
    ("completion", USAGE, "SHELL is missing: one of bash, zsh, fish"),
    ("ringout 101", USAGE, "TO is missing"),
    ("sms", USAGE, "is missing"),
    # -- numbers
    ("calls --limit abc", USAGE, "--limit 'abc' is no whole number"),
    ("calls --limit 0", USAGE, "--limit '0' should be at least 1"),
    ("calls --limit -1", USAGE, "--limit '-1' should be at least 1"),
    ("calls --limit 1.5", USAGE, "--limit '1.5' is no whole number"),
    ("calls --limit 99999999999999999999", USAGE, "--limit '99999999999999999999'"),
    ("calls --limit 9" + "9" * 5000, USAGE, "--limit"),
    ("db backup --keep 0", USAGE, "--keep '0' should be at least 1"),
    ("db backup --keep many", USAGE, "--keep 'many' is no whole number"),
    ("auth status --max-wait soon", USAGE, "--max-wait 'soon' is no number"),
    ("auth status --max-wait -1", USAGE, "--max-wait '-1' should be at least 0"),
    ("simulate --port 99999999", USAGE, "--port '99999999' should be at most 65535"),
    ("simulate --port -1", USAGE, "--port '-1' should be at least 0"),
    ("simulate --seed x", USAGE, "--seed 'x' is no whole number"),
    ("simulate --speed 0", USAGE, "--speed"),
    ("simulate --calls-per-hour many", USAGE, "--calls-per-hour 'many' is no number"),
    ("webhooks retry x", USAGE, "'x' is no whole number"),
    ("webhooks retry 99999999999999999999", USAGE, "99999999999999999999"),
    # -- choices
    ("stats --by x", USAGE, "--by 'x' is none of hour, day"),
    ("stats --by Month2", USAGE, "--by 'Month2' is none of"),
    ("export --format xml", USAGE, "--format 'xml' is none of csv, jsonl, parquet"),
    ("completion csh", USAGE, "SHELL 'csh' is none of bash, zsh, fish"),
    ("demo --transport pigeon", USAGE, "--transport 'pigeon' is none of"),
    ("simulate --fault pigeon", USAGE, "pigeon"),
    ("calls --direction up", USAGE, "up"),
    ("calls --disposition pigeon", USAGE, "pigeon"),
    ("calls --direction ''", USAGE, "--direction"),
    # -- times
    ("calls --since 3x", USAGE, "--since '3x' is no time"),
    ("calls --since ''", USAGE, "--since"),
    ("calls --since tomorrow", USAGE, "--since"),
    ("calls --since 2100-01-01", USAGE, "--since"),
    ("calls --since 2026-13-01", USAGE, "--since"),
    ("calls --since 2026-02-30", USAGE, "--since"),
    ("calls --since 99999999999d", USAGE, "--since"),
    ("calls --since yesterday --until 2000-01-02", USAGE, "--since must lie before --until"),
    ("calls --until 3x", USAGE, "--until"),
    ("stats --since never", USAGE, "--since"),
    ("export --format csv --since never", USAGE, "--since"),
    ("coverage --since never", USAGE, "--since"),
    ("coverage --since 2100-01-01", USAGE, "--since"),
    ("coverage --until 3x", USAGE, "--until"),
    ("audit --since never --until now", USAGE, "--since"),
    ("backfill --since never", USAGE, "--since"),
    ("purge --older-than never --yes", USAGE, "never"),
    ("platform call-log --since never", USAGE, "--since"),
    ("replay --journal --since never", USAGE, "--since"),
    # -- whose calls
    ("calls --number abc", USAGE, "abc"),
    ("calls --number ''", USAGE, "--number"),
    ("calls --extension ''", USAGE, "--extension"),
    ("calls --extension 999", USAGE, "999"),
    ("calls --extension abc", USAGE, "abc"),
    ("stats --extension 999", USAGE, "999"),
    ("export --format csv --number abc", USAGE, "abc"),
    ("calls show 999", DIFFERENT, "999"),
    ("webhooks retry 99", DIFFERENT, "99"),
    # -- combinations
    ("purge", USAGE, "purge needs either"),
    ("purge --number 1 --older-than 1d", USAGE, "purge needs either"),
    ("purge --number abc --yes", USAGE, "abc"),
    ("replay", USAGE, "either FILE or --journal"),
    ("webhooks retry", USAGE, "name the ids to retry, or --all"),
    ("db backup copy.db --keep 3", USAGE, "--keep"),
    ("top --size 1", USAGE, "--size '1' is no size"),
    ("top --once --size 3x3", USAGE, "too small"),
    ("top", USAGE, "needs a terminal"),
    # -- files
    ("db restore nowhere.db", IO, "nowhere.db: no such file"),
    ("db restore .", USAGE, "is a directory"),
    ("db restore text.txt", DATA, "text.txt"),
    ("db backup .", USAGE, "is a directory"),
    ("db backup no/where/copy.db", IO, "no/where/copy.db"),
    ("replay nowhere.jsonl", IO, "nowhere.jsonl"),
    ("replay text.txt", USAGE, "text.txt:1: not a presence notification: no JSON"),
    ("simulate --scenario nowhere.story", IO, "nowhere.story"),
    ("calls --config nowhere.toml", CONFIG, "nowhere.toml: cannot be read"),
    ("calls --config .", CONFIG, "cannot be read"),
    ("calls --config text.txt", CONFIG, "is not TOML"),
    ("calls --config unknown.toml", CONFIG, "unknown key log.levl; nearest known: log.level"),
    ("calls --config wrong.toml", CONFIG, "wrong.toml:2: log.level"),
    ("check-config --config number.toml", CONFIG, "number.toml:2: poll.interval_seconds"),
    # -- empty words, ids, addresses, what is no text at all
    ("calls show ''", USAGE, "SESSION is empty"),
    ("ringout status ''", USAGE, "ID is empty"),
    ("ringout cancel ''", USAGE, "ID is empty"),
    ("calls --number \udcff", USAGE, "is no telephone number"),
    ("calls --number ٣٣٣", USAGE, "is no telephone number"),
    ("calls show a\x1b[2Jb", DIFFERENT, "no call a\\x1b[2Jb"),
    ("quarantine show 99999999999999999999", USAGE, "ID '99999999999999999999' should be at most"),
    ("quarantine show 0", USAGE, "ID '0' should be at least 1"),
    ("quarantine retry 99999999999999999999", USAGE, "should be at most"),
    ("quarantine retry", USAGE, "name the ids to retry"),
    ("serve --listen nonsense", USAGE, "--listen 'nonsense' should be HOST:PORT"),
    ("serve --listen 127.0.0.1:99999", USAGE, "should be HOST:PORT"),
    ("simulate --speed nan", USAGE, "--speed 'nan'"),
    ("simulate --calls-per-hour inf", USAGE, "--calls-per-hour 'inf'"),
    ("simulate --port 70000", USAGE, "--port '70000' should be at most 65535"),
    ("simulate --history 2y", USAGE, "no span of time up to a year"),
    ("simulate --fault bogus", USAGE, "unknown fault 'bogus'"),
    ("simulate --fault drop=2", USAGE, "a rate is between 0 and 1"),
    ("simulate --scenario text.txt", USAGE, "text.txt: line 1"),
    ("demo --db no/where/r.db", USAGE, "is no directory"),
    ("purge --older-than 3d --number 1", USAGE, "--older-than AGE or --number N"),
    ("purge --older-than -3d", USAGE, "--older-than '-3d' is no time"),
    ("calls --until 0001-01-01", USAGE, "no call is as old"),
    ("replay .", IO, ".: Is a directory"),
    ("export --format csv --output .", IO, "irectory"),
    ("calls --config binary.toml", CONFIG, "binary.toml: is not UTF-8 text"),
    # -- nothing to log in with
    ("auth status", CONFIG, "nothing to log in with"),
    ("check-config --online", CONFIG, "nothing to log in with"),
    ("backfill --since 1h", CONFIG, "/etc/ringledger"),
    ("ringout 101 102", CONFIG, "nothing to log in with"),
    ("ringout abc def", USAGE, "abc"),
]
BINARY = b"\xff\xfe\x00"
FILES = {
    "text.txt": "no database and no TOML at all\n" * 100,
    "unknown.toml": '[log]\nlevl = "info"\n',
    "wrong.toml": '[log]\nlevel = "loud"\n',
    "number.toml": '[poll]\ninterval_seconds = "often"\n',
}


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    path = tmp_path_factory.mktemp("wrong") / "r.db"
    office.prepared(path)
    return path


@pytest.fixture
def here(tmp_path, clean, prepared):
    """A directory with wrong files, and a ledger that knows two calls and an extension."""
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)
    (tmp_path / "binary.toml").write_bytes(BINARY)
    clean.chdir(tmp_path)
    clean.setenv("RINGLEDGER_DATABASE__URL", f"sqlite+aiosqlite:///{prepared}")
    clean.delenv("CREDENTIALS_DIRECTORY", raising=False)


def words_of(typed):
    return [word.strip("'") if word != "''" else "" for word in typed.split()]


def test_there_are_a_hundred_of_them():
    assert len({typed for typed, *_ in TABLE}) == len(TABLE) >= 100
    assert all(words for *_, words in TABLE)


@pytest.mark.parametrize(("typed", "code", "words"), TABLE, ids=[typed[:60] or "(nothing)" for typed, *_ in TABLE])
def test_a_wrong_input_is_one_line_with_its_code(cli, here, typed, code, words):
    ended = cli(*words_of(typed))
    assert ended.code == code, ended.err
    assert ended.err.startswith("ringledger: ")
    assert ended.err.count("\n") == 1, ended.err
    assert len(ended.err) < 1_000
    assert words in ended.err
    assert not FOREIGN.search(ended.err), ended.err


@pytest.mark.parametrize("typed", ["callz", "calls --limit 0", "run --frobnicate"])
def test_a_daemon_that_was_never_one_says_so_in_its_log(cli, here, typed):
    ended = cli(*words_of(typed))
    if typed.startswith("run"):
        assert json.loads(ended.err)["reason"].startswith("--frobnicate: no such option")
    else:
        assert ended.err.startswith("ringledger: ")
