"""Converts the errors of object stores into our own, since their texts and addresses may hold keys and signatures."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from contextlib import contextmanager

from colorgan.addresses import shown_address
from colorgan.errors import ColorganError, PhotoError, StorageError, UsageError

_GO_ON = "Run the same command again to continue."
# Parts of our messages (what was found, advice) for the error codes and HTTP statuses of stores.
_EXPIRED = ("the credentials have expired", f"Get new ones. {_GO_ON}")
_REFUSED = (
    "the credentials are refused",
    "Check those of the environment (AWS_PROFILE, AWS_ACCESS_KEY_ID and the like).",
)
_BUSY = ("the store is too busy, or does not answer", f"Use fewer workers, or wait. {_GO_ON}")
_FULL = ("the store is full: its quota is reached", f"Make room there. {_GO_ON}")
_UNTRUSTED = (
    "its certificate is not trusted here",
    "Add its certificate authority to the system's; for s3:// name its file in AWS_CA_BUNDLE.",
)
_FORBIDDEN = ("no permission", "Grant it to the credentials of the environment, or use others.")
_ANSWERS: dict[str, tuple[str, str]] = {
    **dict.fromkeys(("ExpiredToken", "ExpiredTokenException", "RequestExpired", "TokenRefreshRequired"), _EXPIRED),
    **dict.fromkeys(("InvalidAccessKeyId", "SignatureDoesNotMatch", "InvalidToken", "AuthFailure", "401"), _REFUSED),
    **dict.fromkeys(("SlowDown", "ServiceUnavailable", "InternalError", "RequestTimeout", "429", "500", "503"), _BUSY),
    **dict.fromkeys(("QuotaExceeded", "XMinioAdminBucketQuotaExceeded", "XMinioStorageFull", "507"), _FULL),
    **dict.fromkeys(("AccessDenied", "AllAccessDisabled", "403"), _FORBIDDEN),
}
_NOT_THERE = ("NoSuchKey", "404", "410")


@contextmanager
def converting_store_errors(doing: str, address: str, *, is_place: bool) -> Iterator[None]:
    """Convert the errors of a store into our own.

    Args:
        doing: the attempted operation for the message, as "to read".
        address: the address of the operation.
        is_place: whether all photos or results depend on the address, rather than one photo that can fail alone.

    Raises:
        UsageError: there is no such bucket; with `is_place` also if there is no such object or folder.
        PhotoError: without `is_place`, the object does not exist or may not be read.
        StorageError: any other error.
    """
    try:
        yield
    except ColorganError:
        raise
    except Exception as error:
        # Without its cause: a traceback would show addresses with their signatures.
        raise _error(error, f"{doing} {shown_address(address)}", is_place=is_place) from None


def _error(error: Exception, expected: str, *, is_place: bool) -> ColorganError:
    code = code_of(error)
    if _is_untrusted(error):
        return StorageError(expected, *_UNTRUSTED)
    if code == "NoSuchBucket":
        return UsageError(expected, "there is no such bucket", "Check its name.")
    # fsspec raises FileNotFoundError for a web server that does not answer.
    is_silent = not code and _is_no_answer(error)
    if code in _NOT_THERE or (not code and not is_silent and isinstance(error, FileNotFoundError)):
        kind = UsageError if is_place else PhotoError
        return kind(expected, "there is no such object or folder", "Check the name.")
    if code in ("AccessDenied", "403") and not is_place:
        return PhotoError(expected, "no permission to read it", _FORBIDDEN[1])
    if type(error).__name__ in ("NoCredentialsError", "PartialCredentialsError", "ProfileNotFound"):
        return StorageError(expected, "no credentials in the environment", _REFUSED[1])
    if is_silent:
        return StorageError(expected, *_BUSY)
    found, advice = _ANSWERS.get(code, (f"the store answers {code or type(error).__name__}", _GO_ON))
    return StorageError(expected, found, advice)


def code_of(error: BaseException) -> str:
    """Return the error code of a store's answer, or the HTTP status if it has none; empty if nothing answered."""
    for each in _chain(error):
        response = getattr(each, "response", None)
        if isinstance(response, dict) and "Error" in response:
            return str(response["Error"].get("Code", ""))
        if isinstance(status := getattr(each, "status", None), int):
            return str(status)
    return ""


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error and the chain of its causes."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _is_no_answer(error: BaseException) -> bool:
    """Whether nothing answered, or not in time."""
    silent = ("EndpointConnectionError", "ConnectionClosedError", "ClientConnectorError")
    names = [type(each).__name__ for each in _chain(error)]
    is_silent = any(name in silent or "Timeout" in name for name in names)
    return is_silent or any(isinstance(each, ConnectionError | TimeoutError) for each in _chain(error))


def _is_untrusted(error: BaseException) -> bool:
    """Whether the server's certificate is not trusted, as for a company's proxy with its own authority."""
    chain = list(_chain(error))
    is_refused = any(isinstance(each, ssl.SSLCertVerificationError) for each in chain)
    return is_refused or any(type(each).__name__ == "SSLError" for each in chain)  # of botocore
