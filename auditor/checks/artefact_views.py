"""The views that an artefact is probed with: its region or component exchanged, it itself added."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from auditor.data.components import ComponentFromDonor
from auditor.data.transforms import added
from auditor.data.views import PatchInRegion, Region, RegionFromDonor, View
from auditor.errors import SpecError
from auditor.opening import require_file
from auditor.spec import AuditSpec, ShortcutSpec

PATCH_BYTES = 20_000_000
"""Size of the file of a patch."""


@dataclass(frozen=True)
class Views:
    """The views that one artefact is probed with.

    `exchanged` takes its region or component from a donor of the same class, and of another; None
    for a transform that can only be added. `placebos` exchange a region of the same size that lies
    where the artefact's would in the mirrored picture, and touches no known one. `added` puts it
    into every image, None where there is no picture of it.
    """

    exchanged: tuple[View, View] | None
    placebos: tuple[RegionFromDonor, ...] = ()
    added: View | None = None

    @property
    def all(self) -> tuple[View, ...]:
        further = () if self.added is None else (self.added,)
        return (*(self.exchanged or ()), *self.placebos, *further)


def views_of(shortcut: ShortcutSpec, *, spec: AuditSpec) -> Views:
    """The views of a shortcut; raises SpecError when its patch cannot be read as a picture."""
    if shortcut.region is None:
        return _of_transform(shortcut, spec)
    region = Region(*shortcut.region)
    patch = None if shortcut.patch is None else _patched(shortcut, shortcut.patch, region, spec)
    return views_in(region, known=declared_regions(spec), added=patch)


def views_in(region: Region, *, known: Sequence[Region], added: View | None = None) -> Views:
    """The views of an artefact in a region; placebos touch none of the `known` ones."""
    return Views(
        exchanged=(
            RegionFromDonor(region, donor="same-class"),
            RegionFromDonor(region, donor="other-class"),
        ),
        placebos=tuple(
            RegionFromDonor(mirrored, donor="other-class")
            for mirrored in dict.fromkeys(_mirrored(region))
            if not any(mirrored.touches(one) for one in (region, *known))
        ),
        added=added,
    )


def declared_regions(spec: AuditSpec) -> tuple[Region, ...]:
    """The regions of all declared artefacts that have one."""
    return tuple(Region(*s.region) for s in spec.shortcuts if s.region is not None)


def _of_transform(shortcut: ShortcutSpec, spec: AuditSpec) -> Views:
    name = shortcut.transform or ""
    try:
        view = added(name, known=declared_regions(spec))
    except ValueError as error:
        raise SpecError(
            f"shortcuts: {shortcut.name!r}: {error}. Correct `transform`, or give a region."
        ) from error
    if view is not None:
        return Views(None, added=view)
    same, other = (ComponentFromDonor(name, kind) for kind in ("same-class", "other-class"))
    return Views((same, other))


def _mirrored(of: Region) -> tuple[Region, ...]:
    """Where a region lies with left and right exchanged, with top and bottom, and with both."""
    upended = Region(of.x0, 1 - of.y1, of.x1, 1 - of.y0)
    return (of.mirrored, upended, upended.mirrored)


def _patched(shortcut: ShortcutSpec, file: str, region: Region, spec: AuditSpec) -> PatchInRegion:
    path, what = spec.resolve(file), f"shortcuts: the patch of {shortcut.name!r}"
    remedy = "Give a PNG file, its path relative to the audit spec."
    require_file(path, what=what, at_most=PATCH_BYTES, error=SpecError, remedy=remedy)
    try:
        return PatchInRegion(region, path.read_bytes())
    except (OSError, ValueError) as error:
        raise SpecError(f"{what} {file!r}: {str(error).rstrip('.')}. {remedy}") from error
