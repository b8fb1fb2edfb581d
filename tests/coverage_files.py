"""Coverage files of processes that tests kill."""

import contextlib
import sqlite3


def drop_torn_coverage(folder):
    """Remove damaged data files, which would make coverage fail.

    coverage writes without a journal. It skips a file whose first pages are missing, with a warning, but if later
    pages are missing, its exception ends the whole test run.
    """
    for path in folder.glob(".coverage.*"):
        state = None
        with contextlib.suppress(sqlite3.DatabaseError), contextlib.closing(_read_only(path)) as database:
            state = database.execute("PRAGMA quick_check").fetchone()
        if state != ("ok",):
            path.unlink(missing_ok=True)


def _read_only(path):
    return sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)
