"""What a mysql:// URL stands for."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest

from taskpath.runtime.settings import SettingsError
from taskpath_services.storage.index.mysql.address import Address


def test_the_parts_of_a_url() -> None:
    address = Address.of("mysql://us%40er:p%40ss%2F%23word@db.example:3307/task%20path")
    assert (address.user, address.password, address.host, address.port, address.database) == (
        "us@er", "p@ss/#word", "db.example", 3307, "task path",
    )  # fmt: skip
    assert address.arguments()["ssl"] is None


def test_what_is_not_given() -> None:
    address = Address.of("mysql://db/taskpath")
    assert (address.user, address.password, address.port, address.socket) == ("root", "", 3306, None)


def test_a_socket() -> None:
    address = Address.of("mysql://u:p@/taskpath?socket=/run/mysqld/mysqld.sock")
    assert address.arguments()["unix_socket"] == "/run/mysqld/mysqld.sock"
    assert str(address) == "taskpath at /run/mysqld/mysqld.sock"


def test_an_ipv6_address() -> None:
    assert Address.of("mysql://u:p@[::1]:3307/taskpath").host == "::1"


def test_encryption() -> None:
    verified = Address.of("mysql://u:p@db/taskpath?ssl=verify").arguments()["ssl"]
    assert (verified.verify_mode, verified.check_hostname) == (ssl.CERT_REQUIRED, True)
    any_host = Address.of("mysql://u:p@db/taskpath?ssl=require").arguments()["ssl"]
    assert (any_host.verify_mode, any_host.check_hostname) == (ssl.CERT_NONE, False)


def test_files_of_certificates_that_are_not_there(tmp_path: Path) -> None:
    address = Address.of(f"mysql://u:p@db/taskpath?ssl_ca={tmp_path}/ca.pem")
    assert address.encryption == "verify"
    with pytest.raises(SettingsError, match="files of certificates that cannot be used: No such file"):
        address.arguments()


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("mysql://u:S3cret@db", "names no database"),
        ("mysql://u:S3cret@db/", "names no database"),
        ("mysql://u:S3cret@db/a/b", "names no database"),
        ("mysql://u:S3cret@db:port/a", "no URL that can be read"),
        ("mysql://u:S3cret@[db/a", "no URL that can be read"),
        ("mysql://u:S3cret@db/a?charset=latin1", "the parameter 'charset'; expected are ssl, ssl_ca"),
        ("mysql://u:S3cret@db/a?ssl=on", "ssl='on'; expected is one of off, require, verify"),
        ("mysql://u:S3cret@db/a?ssl=off&ssl=verify", "a parameter twice"),
        ("mysql://u:S3cret@db/a#b", "%23"),
    ],
)
def test_what_is_no_address(url: str, says: str) -> None:
    with pytest.raises(SettingsError) as caught:
        Address.of(url)
    assert says in str(caught.value)
    assert "TASKPATH_INDEX" in str(caught.value)
    assert "S3cret" not in str(caught.value)


def test_a_password_is_never_shown() -> None:
    address = Address.of("mysql://u:S3cret@db/taskpath")
    assert "S3cret" not in f"{address} {address!r}"
