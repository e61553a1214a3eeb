"""What a node of a cluster has, told by a function that travels whole.

The node may lack this package: nothing but the standard library is imported before that is known.
"""

from __future__ import annotations

from collections.abc import Sequence


def node_facts(packages: Sequence[str], paths: Sequence[str]) -> dict[str, str]:
    """Versions of Python, of `packages` ("" for none) and of the auditor, as its files' digest.

    Of each of `paths` whether it is there ("seen", or ""), under the path itself.
    """
    import importlib.util
    import os
    import platform
    from importlib.metadata import PackageNotFoundError, version

    found = {"Python": platform.python_version()}
    for name in packages:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = ""
    own = importlib.util.find_spec("auditor") is not None
    found["auditor"] = "there" if own else ""
    if own and all(found.values()):
        from auditor.engine.footprint import code_digest

        found["auditor"] = code_digest()
    return found | {path: "seen" if os.path.exists(path) else "" for path in paths}
