"""How much of the image a network's layers see, from what each does to a tensor's axes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from auditor.models.layers import Layer, Shape


@dataclass(frozen=True)
class Seen:
    """What one element of a tensor sees of the image, a side.

    `size` pixels, `jump` pixels between neighbouring elements. `whole` is the image as a whole,
    whatever its size; `pooled` that no map is left. `axes` names each axis: n images, c channels,
    s positions, m several at once; "" where unknown. `pooling` marks what was just taken over
    positions.
    """

    size: int = 1
    jump: int = 1
    whole: bool = False
    pooled: bool = False
    axes: str = ""
    pooling: bool = False


def follow(layers: Sequence[Layer], *, axes: str) -> list[Seen | None]:
    """For each layer what its output sees; None behind an operator of unknown reach.

    Araujo, Norris & Sim (2019), doi:10.23915/distill.00021, along the widest path. Attention,
    pooling over the whole map, and a gate from it (squeeze and excitation) see the whole image;
    statistics of a normalisation are left out. `axes` are those of the image.
    """
    seen: dict[str, Seen | None] = {}
    found = []
    for layer in layers:
        given = [seen.get(name, Seen(axes=axes)) for name in layer.inputs]
        known = [each for each in given if each is not None]
        lost = not known if layer.role == "pointwise" else len(known) < len(given) or not known
        made = None if lost else _after(layer, _joined(layer, known))
        seen.update(dict.fromkeys(layer.outputs, made))
        found.append(made)
    return found


def _joined(layer: Layer, known: Sequence[Seen]) -> Seen:
    """The widest of what is read, with the axes of that which is no narrower than the output."""
    ranks = [k for k in known if layer.made is None or len(k.axes) == len(layer.made)]
    return Seen(
        size=max(k.size for k in known),
        jump=max(k.jump for k in known),
        whole=any(k.whole for k in known),
        pooled=all(k.pooled for k in known),
        axes=next((k.axes for k in (ranks or known) if not k.pooled), known[0].axes),
    )


def _after(layer: Layer, joined: Seen) -> Seen | None:
    if layer.role == "other" or (layer.role == "convolution" and not layer.kernel):
        return replace(joined, axes="") if joined.whole else None
    if layer.role in ("convolution", "pooling"):
        return _slid(layer, joined)
    if layer.role in ("reduction", "statistic"):
        return _reduced(layer, joined)
    if layer.role == "linear":
        return _contracted(layer, joined)
    if layer.role == "mixing":
        return replace(joined, whole=True, axes=joined.axes if _same_rank(layer, joined) else "")
    return _moved(layer, joined)


def _moved(layer: Layer, joined: Seen) -> Seen:
    if layer.role == "transpose":
        fits = len(layer.order) == len(joined.axes)
        return replace(joined, axes="".join(joined.axes[i] for i in layer.order) if fits else "")
    if layer.role == "reshape":
        return replace(joined, axes=_reshaped(joined.axes, layer.given, layer.made))
    if not _same_rank(layer, joined):
        return replace(joined, axes="")
    # A step along the first side of two stands for both.
    steps = [s for a, s in zip(layer.over, layer.stride, strict=True) if a == joined.axes.find("s")]
    return replace(joined, jump=joined.jump * max(steps, default=1))


def _same_rank(layer: Layer, seen: Seen) -> bool:
    return layer.made is None or len(layer.made) == len(seen.axes)


def _slid(layer: Layer, seen: Seen) -> Seen:
    """A window slid over a map; a pooling of the whole map leaves none."""
    axes = seen.axes
    if layer.role == "convolution":
        axes = f"nc{'s' * len(layer.kernel)}"
    elif _covers(layer):
        return replace(seen, whole=True, pooled=True)
    reach = max((k - 1) * d for k, d in zip(layer.kernel, layer.dilation, strict=True))
    return replace(
        seen, size=seen.size + reach * seen.jump, jump=seen.jump * max(layer.stride), axes=axes
    )


def _covers(layer: Layer) -> bool:
    if not layer.kernel or not layer.given or not layer.made:
        return not layer.kernel
    sides = len(layer.kernel)
    positions = layer.given[-sides:]
    single = all(length == 1 for length in layer.made[-sides:])
    return single and layer.kernel == positions and any(length > 1 for length in positions)


def _reduced(layer: Layer, seen: Seen) -> Seen:
    if not seen.axes or layer.given is None or len(layer.given) != len(seen.axes):
        return replace(seen, axes="")
    letters = {seen.axes[axis] for axis in layer.over}
    left = [a for i, a in enumerate(seen.axes) if i not in layer.over]
    kept = seen.axes if _same_rank(layer, seen) else "".join(left)
    over = "s" in letters
    return replace(
        seen,
        axes=kept,
        whole=seen.whole or over,
        pooled=seen.pooled or (over and "s" not in left),
        pooling=over,
    )


def _contracted(layer: Layer, seen: Seen) -> Seen:
    """A linear layer: over channels it is a 1x1 convolution, over positions it sees them all."""
    known = len(seen.axes) == len(layer.given or ())
    axis = layer.over[0] if layer.over else -1
    letter = seen.axes[axis] if seen.axes and known else ""
    local = letter == "c" if letter else len(layer.given or ()) > 2
    axes = seen.axes if _same_rank(layer, seen) else ""
    if letter == "m":
        axes = axes.replace("m", "c")
    mapped = "s" in axes if axes else local
    return replace(seen, axes=axes, whole=seen.whole or not local, pooled=seen.pooled or not mapped)


def _reshaped(axes: str, given: Shape | None, made: Shape | None) -> str:
    """Names of the axes after a change of shape that keeps the order of all numbers."""
    if given is None or made is None or len(axes) != len(given):
        return ""
    found, i, j = "", 0, 0
    while i < len(given) and j < len(made):
        start, first, left, right = i, j, given[i], made[j]
        while left != right:
            if left < right and i + 1 < len(given):
                i += 1
                left *= given[i]
            elif right < left and j + 1 < len(made):
                j += 1
                right *= made[j]
            else:
                return ""
        i, j = i + 1, j + 1
        letters = {axes[k] for k in range(start, i) if given[k] > 1} or {axes[start]}
        found += (letters.pop() if len(letters) == 1 else "m") * (j - first)
    return found + "n" * (len(made) - len(found))
