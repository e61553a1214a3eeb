"""What processes of Ray need not import: each of a dozen would spend half of its start on it."""

from pathlib import Path


def without_address_parsers(folder: Path) -> str:
    """An entry of PYTHONPATH by which jsonschema lacks its parsers of addresses, as for most users.

    It builds them, of a grammar, when it is imported; Ray asks for none.
    """
    (folder / "rfc3987_syntax.py").write_text("raise ImportError('left out by a test')")
    return str(folder)
