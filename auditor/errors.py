"""Errors that a user can correct.

AuditorError              printed without traceback, exit code 2
├── SpecError             audit.yaml, a policy or declarations say something that cannot be
├── DataError             a manifest, an image folder or an image is not what was expected
├── ModelError            a model file cannot be loaded, or does not do what the spec says
├── RenderingError        a report could not be made of a record; the others are written
├── MissingLibraryError   a system library or an optional package is not installed
└── ClusterError          a Ray cluster cannot be had, or does not do what is needed

Every message says what was found, what was expected, and what to do.
"""

from __future__ import annotations


class AuditorError(Exception):
    """An error that the user can correct; its message says how."""


class SpecError(AuditorError):
    """The audit spec, a policy or a declaration is wrong."""


class DataError(AuditorError):
    """A manifest, an image folder or an image is not what was expected."""


class ModelError(AuditorError):
    """A model file cannot be loaded, or it does not do what the spec says."""


class RenderingError(AuditorError):
    """One of the reports could not be made of a record that is whole; the others are written."""


class MissingLibraryError(AuditorError):
    """A system library or an optional package is not installed."""


class ClusterError(AuditorError):
    """A Ray cluster cannot be had, or its nodes do not do what is needed."""
