"""What packages of protocols raise, as they raise it, and what is said of it."""

import errno

import pytest

from auditor.errors import DataError
from auditor.remote.failures import failure_of, unopened

SECRET = "sig=not-to-be-told"


def error_of(name, base=Exception, **held):
    """An error as a package has it, by its name and what it holds."""
    error = type(name, (base,), {})(f"https://somewhere/a?{SECRET}")
    for key, value in held.items():
        setattr(error, key, value)
    return error


@pytest.mark.parametrize(
    ("error", "kind", "says"),
    [
        (error_of("HttpResponseError", status_code=403), PermissionError, "refuses access (403)"),
        (error_of("ClientAuthenticationError", status_code=401), PermissionError, "access (401)"),
        (error_of("ResourceNotFoundError", status_code=404), FileNotFoundError, "(404)"),
        (error_of("ResourceModifiedError", status_code=412), FileExistsError, "another changes"),
        (error_of("HttpError", code=401), PermissionError, "refuses access (401)"),
        (OSError(f"Forbidden: https://somewhere/a?{SECRET}\nno"), PermissionError, "access (403)"),
        (error_of("ClientAuthenticationError"), PermissionError, "no usable credentials"),
        (error_of("AzureSigningError"), PermissionError, "no usable credentials"),
        (error_of("DefaultCredentialsError"), PermissionError, "no usable credentials"),
        (error_of("IncompleteReadError"), OSError, "ends before the size"),
    ],
)
def test_what_packages_raise_is_told_in_words_of_ours(error, kind, says):
    failure = failure_of(error, "az://box/a")
    assert type(failure) is kind
    assert says in failure.strerror
    assert SECRET not in str(failure)


def test_a_server_that_fails_is_not_one_that_refuses():
    for error in (
        error_of("HttpResponseError", status_code=503),
        error_of("HttpError", code="a word"),
        error_of("ServiceRequestError"),
        OSError(errno.ENETDOWN, "down"),
    ):
        failure = failure_of(error, "gs://box/a")
        assert isinstance(failure, DataError)
        assert "gs://box/a could not be reached" in str(failure)
        assert SECRET not in str(failure)


def test_whoever_names_no_account_is_told_how():
    assert "AZURE_STORAGE_CONNECTION_STRING" in unopened("az").strerror
    assert unopened("gs").strerror == "no usable credentials were found in the environment"


def test_an_object_that_ends_early_is_told_by_the_cause_of_its_cause():
    """Azure's package raises a failure of HTTP for it, whose status is that of no server."""
    error = error_of("HttpResponseError", status_code=None)
    error.__cause__ = error_of("IncompleteReadError")
    error.__cause__.__cause__ = error_of("ContentLengthError", status=400)
    assert failure_of(error, "az://box/a").strerror.startswith("the object ends before the size")
