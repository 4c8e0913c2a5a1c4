"""The connection to a server over TLS, as `sslmode` and its kin in database.url say: a CA of the test's own."""

import asyncio
import os
import shutil
import socket
import subprocess

import pytest

from ringledger.ledger.errors import LedgerError
from ringledger.ledger.schema.migrate import upgrade
from ringledger.ledger.write.store import Ledger
from tests.needs import needs
from tests.postgresql.server import Server, asked, needs_postgresql

pytestmark = [needs_postgresql, needs(shutil.which("openssl"), "openssl", "apt-get install openssl")]


def openssl(folder, *words):
    subprocess.run(["openssl", *words], cwd=folder, check=True, capture_output=True)


def authority(folder, name):
    """A CA: NAME.crt and NAME.key."""
    openssl(folder, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", f"/CN={name}", "-days", "2",
            "-keyout", f"{name}.key", "-out", f"{name}.crt")  # fmt: skip


def issued(folder, ca, name, subject, *extensions):
    """A certificate and its key, of that CA."""
    openssl(folder, "req", "-newkey", "rsa:2048", "-nodes", "-subj", f"/CN={subject}", "-keyout", f"{name}.key",
            "-out", f"{name}.csr")  # fmt: skip
    (folder / "extensions").write_text("\n".join(extensions))
    openssl(folder, "x509", "-req", "-in", f"{name}.csr", "-CA", f"{ca}.crt", "-CAkey", f"{ca}.key", "-CAcreateserial",
            "-days", "2", "-extfile", "extensions", "-out", f"{name}.crt")  # fmt: skip


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tls")
    for name in ("ours", "strange"):
        authority(folder, name)
    issued(folder, "ours", "server", "db.example", "subjectAltName = IP:127.0.0.1")
    for ca in ("ours", "strange"):
        issued(folder, ca, f"client-{ca}", "ringledger", "extendedKeyUsage = clientAuth")
    (folder / "password").write_text("geheim\n")
    return folder


@pytest.fixture(scope="module")
def over_tls(files):
    """A function that makes the URL of a server that takes nothing but TLS, a certificate of our CA and a password."""
    made = Server()
    made.stop("fast")
    owner = made.data.stat()
    for name in ("server.crt", "server.key", "ours.crt"):
        shutil.copy(files / name, made.data / name)
        os.chown(made.data / name, owner.st_uid, owner.st_gid)
        (made.data / name).chmod(0o600)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    (made.data / "pg_hba.conf").write_text(
        "local all all trust\nhostssl all ringledger 127.0.0.1/32 scram-sha-256 clientcert=verify-full\n"
    )
    made.more = ("listen_addresses=127.0.0.1", f"port={port}", "ssl=on", "ssl_ca_file=ours.crt")
    made.start()
    local = f"postgresql://{made.name}@/postgres?host={made.folder}&port={port}"
    asked(
        local, "CREATE ROLE ringledger LOGIN PASSWORD 'geheim'", "CREATE DATABASE ledger OWNER ringledger", "SELECT 1"
    )
    given = {"sslmode": "verify-full", "sslrootcert": files / "ours.crt", "sslcert": files / "client-ours.crt",
             "sslkey": files / "client-ours.key", "passwordfile": files / "password"}  # fmt: skip

    def url(host="127.0.0.1", **changes):
        words = "&".join(f"{name}={value}" for name, value in (given | changes).items() if value)
        return f"postgresql://ringledger@{host}:{port}/ledger?{words}"

    yield url
    made.close()


async def refused(url):
    with pytest.raises(LedgerError) as told:
        await Ledger.open(url, read_only=True)
    assert "geheim" not in str(told.value)
    return str(told.value)


async def test_the_whole_way_is_encrypted_and_both_ends_are_known(over_tls):
    await asyncio.to_thread(upgrade, over_tls())
    ledger = await Ledger.open(over_tls(), shared=True)
    leases = ledger.database.leases(10.0)
    await leases.take(["a"])
    seen = asked(
        over_tls().replace("&passwordfile=", "&application_name=").replace("ringledger@", "ringledger:geheim@"),
        "SELECT count(*) AS n FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE ssl "
        "AND client_dn = '/CN=ringledger' AND application_name = 'ringledger'",
    )
    assert seen[0]["n"] >= 2, "the writer's and the leases'"
    await leases.close()
    await ledger.close()


async def test_who_is_not_who_it_should_be_is_refused(over_tls, files):
    assert "certificate verify failed" in await refused(over_tls(sslrootcert=files / "strange.crt"))
    assert "not valid for 'localhost'" in await refused(over_tls(host="localhost"))
    assert "no pg_hba.conf entry" in await refused(over_tls(sslmode="disable"))
    assert await refused(over_tls(sslcert=None, sslkey=None))
    assert await refused(over_tls(sslcert=files / "client-strange.crt", sslkey=files / "client-strange.key"))
    (files / "wrong").write_text("other\n")
    assert "password authentication failed" in await refused(over_tls(passwordfile=files / "wrong"))
