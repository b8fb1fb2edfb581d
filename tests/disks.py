"""Simulated disks without some features, for commands as processes: patches in Python that run before the command."""

from __future__ import annotations

import subprocess
import sys

from processes import DEADLINE_S

NO_CHMOD = """
def refuse(*arguments, **options):
    raise PermissionError(1, "Operation not permitted")
os.chmod = os.fchmod = pathlib.Path.chmod = refuse
"""
NO_FLUSH = """
def refuse(file):
    raise OSError(errno.EINVAL, "Invalid argument")
os.fsync = refuse
"""
NO_FOLDER_FLUSH = """
def fsync(file, real=os.fsync):
    if stat.S_ISDIR(os.fstat(file).st_mode):
        raise OSError(errno.EINVAL, "Invalid argument")
    real(file)
os.fsync = fsync
"""
FULL = """
def refuse(file):
    raise OSError(errno.ENOSPC, "No space left on device")
os.fsync = refuse
"""
NO_LOCKS = """
def refuse(*arguments):
    raise OSError(errno.ENOLCK, "No locks available")
fcntl.flock = fcntl.lockf = refuse
"""
NO_LINKS = """
def refuse(*arguments, **options):
    raise PermissionError(1, "Operation not permitted")
os.link = os.symlink = refuse
"""
BARE = NO_CHMOD + NO_FLUSH + NO_LOCKS + NO_LINKS


def on_disk(lacking: str, *arguments: object, **options: object) -> subprocess.CompletedProcess[str]:
    """Run `colorgan` as if all disks lacked a feature.

    Args:
        lacking: one of the patches above, or several concatenated.
        arguments: of the command.
        options: of `subprocess.run`.
    """
    begin = "import errno, fcntl, os, pathlib, stat\n"
    code = f"{begin}{lacking}\nfrom colorgan.cli.app import main\nmain()"
    command = [sys.executable, "-c", code, *map(str, arguments)]
    settings = {"capture_output": True, "encoding": "utf-8", "errors": "replace", "timeout": DEADLINE_S, "check": False}
    return subprocess.run(command, **settings | options)
