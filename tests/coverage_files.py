"""What processes that tests kill leave of their coverage."""

import contextlib
import sqlite3


def drop_torn_coverage(folder):
    """Remove the data files that coverage would trip over.

    coverage writes without a journal. It passes over a file whose first pages are missing, with a warning, but where
    later ones are, what it raises ends the whole run of the tests.
    """
    for path in folder.glob(".coverage.*"):
        state = None
        with contextlib.suppress(sqlite3.DatabaseError), contextlib.closing(_read_only(path)) as database:
            state = database.execute("PRAGMA quick_check").fetchone()
        if state != ("ok",):
            path.unlink(missing_ok=True)


def _read_only(path):
    return sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)
