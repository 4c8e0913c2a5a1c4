"""Nothing that opens anything comes out of a whole daemon at any level: not the credentials, not the tokens it was
given, not the keys of its subscription; and no number in full."""

import re
import signal

from tests.ops.conftest import ringledger


def secrets(platform):
    """Everything the simulated platform was given or has handed out."""
    credentials = platform.sim.options.credentials
    yield from (credentials.client_secret, credentials.jwt, credentials.password)
    for session in platform.sim.oauth.sessions:
        yield from (session.access_token, session.refresh_token)
    for subscription in platform.sim.subscriptions.alive():
        yield subscription.delivery.get("encryptionKey")


def test_no_secret_and_no_full_number_at_debug(platform, tmp_path):
    platform.office(calls_per_hour=400)
    with ringledger(platform.settings(tmp_path / "r.db", log__level="debug")) as daemon:
        daemon.ready()
        daemon.until(lambda: daemon.named("call.finished"))
        planted = {text for text in secrets(platform) if text}
        assert len(planted) > 4
        daemon.process.send_signal(signal.SIGTERM)
        assert daemon.wait() == 0
    text = "".join(daemon.lines)
    assert not {one for one in planted if one in text}
    assert not re.findall(r"\+1\d{10}\b", text)
    assert re.search(r"\d{4}", str(daemon.named("call.finished")[0]["from_number"]))
