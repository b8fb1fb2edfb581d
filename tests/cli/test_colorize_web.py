"""`colorize` of photos from the web as a process: whom it trusts."""

from __future__ import annotations

import os
import ssl
from pathlib import Path

import pytest
import trustme
import truststore
from colorizing import make_photos, run, tree

from colorgan.stores.access import file_system

pytest.importorskip("aiohttp")


def test_photos_come_by_the_certificates_of_the_system_and_by_no_others(web, tiny_model: Path, tmp_path: Path) -> None:
    make_photos(tmp_path, "a.png")
    web.files["/a.png"] = (tmp_path / "a.png").read_bytes()
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    web.socket = context.wrap_socket(web.socket, server_side=True)
    arguments = (f"https://localhost:{web.server_port}/a.png", "-o", tmp_path / "out", "--model", tiny_model)
    refused = run(*arguments)
    assert refused.returncode == 4, refused.stderr
    assert "its certificate is not trusted here" in refused.stderr
    root = tmp_path / "root.pem"
    authority.cert_pem.write_to_path(str(root))
    done = run(*arguments, env=os.environ | {"SSL_CERT_FILE": str(root)})  # as an administrator adds it on Linux
    assert (done.returncode, tree(tmp_path / "out")) == (0, ["a.png"]), done.stderr
    # On other systems that variable says nothing, and Python knows no certificates by itself.
    assert isinstance(file_system(str(arguments[0])).kwargs["ssl"], truststore.SSLContext)
