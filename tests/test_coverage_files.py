import sqlite3
from contextlib import closing

import pytest
from coverage_files import drop_torn_coverage


@pytest.fixture
def whole(tmp_path):
    path = tmp_path / ".coverage.host.pid1.Xabc"
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("CREATE TABLE line_bits (file_id INTEGER PRIMARY KEY, numbits BLOB)")
        database.executemany("INSERT INTO line_bits (numbits) VALUES (?)", [(bytes([7] * 500),) for _ in range(200)])
    return path


@pytest.mark.parametrize("harm", ["cut off", "pages missing", "no database"])
def test_coverage_that_was_torn_is_dropped_and_no_other_file(whole, harm):
    data = whole.read_bytes()
    torn = whole.with_name(".coverage.host.pid2.Xdef")
    made = {
        "cut off": data[:5000],
        "pages missing": data[:8192] + bytes(8192) + data[16384:],
        "no database": b"?" * 999,
    }
    torn.write_bytes(made[harm])
    (whole.parent / "notes.txt").write_bytes(b"no database either")
    drop_torn_coverage(whole.parent)
    assert sorted(path.name for path in whole.parent.iterdir()) == [whole.name, "notes.txt"]
