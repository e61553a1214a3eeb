"""The views that a declared artefact is probed with: its region exchanged, its picture added."""

from __future__ import annotations

from dataclasses import dataclass

from auditor.data.views import PatchInRegion, Region, RegionFromDonor
from auditor.errors import SpecError
from auditor.opening import require_file
from auditor.spec import AuditSpec, ShortcutSpec

PATCH_BYTES = 20_000_000
"""Size of the file of a patch."""


@dataclass(frozen=True)
class Views:
    """The views that one artefact is probed with; `patched` is None where it has no picture.

    `placebos` exchange a region of the same size that lies where the artefact's would in the
    mirrored picture, and touches no declared one.
    """

    same_class: RegionFromDonor
    other_class: RegionFromDonor
    placebos: tuple[RegionFromDonor, ...]
    patched: PatchInRegion | None

    @property
    def all(self) -> tuple[RegionFromDonor | PatchInRegion, ...]:
        added = () if self.patched is None else (self.patched,)
        return (self.same_class, self.other_class, *self.placebos, *added)


def views_of(shortcut: ShortcutSpec, *, spec: AuditSpec) -> Views:
    """The views of a shortcut; raises SpecError when its patch cannot be read as a picture."""
    region = Region(*shortcut.region)
    return Views(
        same_class=RegionFromDonor(region, donor="same-class"),
        other_class=RegionFromDonor(region, donor="other-class"),
        placebos=tuple(
            RegionFromDonor(mirrored, donor="other-class")
            for mirrored in dict.fromkeys(_mirrored(region))
            if not any(mirrored.touches(Region(*s.region)) for s in spec.shortcuts)
        ),
        patched=_patched(shortcut, region, spec),
    )


def _mirrored(of: Region) -> tuple[Region, ...]:
    """Where a region lies with left and right exchanged, with top and bottom, and with both."""
    left, top, right, bottom = 1 - of.x1, 1 - of.y1, 1 - of.x0, 1 - of.y0
    return (
        Region(left, of.y0, right, of.y1),
        Region(of.x0, top, of.x1, bottom),
        Region(left, top, right, bottom),
    )


def _patched(shortcut: ShortcutSpec, region: Region, spec: AuditSpec) -> PatchInRegion | None:
    if shortcut.patch is None:
        return None
    path, what = spec.resolve(shortcut.patch), f"shortcuts: the patch of {shortcut.name!r}"
    remedy = "Give a PNG file, its path relative to the audit spec."
    require_file(path, what=what, at_most=PATCH_BYTES, error=SpecError, remedy=remedy)
    try:
        return PatchInRegion(region, path.read_bytes())
    except (OSError, ValueError) as error:
        raise SpecError(f"{what} {shortcut.patch!r}: {str(error).rstrip('.')}. {remedy}") from error
