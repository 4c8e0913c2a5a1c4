"""Following the database: whichever file bears its name."""

from contextlib import aclosing

from ringledger.cli.top.follow import follow
from ringledger.config.model import load_settings
from ringledger.ledger.read import queries
from tests.cli.conftest import record
from tests.template import migrated


async def test_a_file_that_takes_the_databases_place_is_asked_from_then_on(tmp_path):
    """A restore puts another file there: what is shown is not the one that has gone, for ever (nor is it an end)."""
    await record(migrated(tmp_path / "backup.db"))
    path = tmp_path / "r.db"
    settings = load_settings(None, {}, {"database.url": migrated(path)})
    answers = []
    async with aclosing(follow(settings, queries.calls)) as following:
        async for answer in following:
            answers.append(answer)
            match len(answers):
                case 1:
                    path.rename(tmp_path / "moved.db")
                case 2:
                    (tmp_path / "backup.db").replace(path)
                case 3:
                    break
    empty, gone, restored = answers
    assert (empty, gone) == ([], f"{path}: No such file or directory")
    assert len(restored) > 1
