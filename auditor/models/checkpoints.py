"""The tensors of a PyTorch weights file: taken out of what was saved around them.

Nothing in a file is ever run: pickles are read with ``weights_only``.
"""

from __future__ import annotations

import pickle
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from auditor.errors import ModelError

_NESTS = ("state_dict", "model_state_dict", "model_state", "model", "net", "network", "weights")
"""Keys under which training scripts keep the weights in a checkpoint, the usual ones first."""

_WRAPPERS = frozenset({"module", "_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module"})
"""Parts of names that DataParallel, torch.compile and sharding put in front of what they wrap."""

_COUNTERS = ("num_batches_tracked", "n_averaged", "total_ops", "total_params")
"""Last parts of names of tensors that no answer depends on."""

_NO_WEIGHTS = ("opt", "sched", "lr_sched", "scaler", "callbacks", "loops")
"""How keys begin under which the state of the training lies."""


class SeveralWeightsError(ModelError):
    """Only the spec can say which weights of the file are meant."""


@dataclass(frozen=True)
class Checkpoint:
    """The tensors of a weights file by name.

    `notes` says what was taken and what was left, one sentence each; `beside` is what else lay
    in the file around the tensors, by key; `part` names a prefix that the spec asks for.
    """

    tensors: Mapping[str, torch.Tensor]
    notes: tuple[str, ...] = ()
    beside: Mapping[str, Any] = field(default_factory=dict)
    part: str | None = None


def read_checkpoint(path: Path, *, safetensors: bool, part: str | None = None) -> Checkpoint:
    """The weights in a file; `part` is the key, or the prefix, that the spec names.

    Raises ModelError for a pickle that holds more than tensors, for a file without weights, and
    where only the spec can say which of several are meant. An average over training (EMA) is
    taken only where `part` names it.
    """
    stored = _load_safetensors(path) if safetensors else _load_pickle(path)
    if not isinstance(stored, Mapping):
        raise ModelError(
            f"{path.name} holds a {type(stored).__name__}, expected a state dict (names and "
            "tensors). Save it with `torch.save(model.state_dict(), path)`."
        )
    found = _unwrapped(path, {str(k): v for k, v in stored.items()}, part)
    tensors = {str(k): v for k, v in found.tensors.items() if torch.is_tensor(v)}
    return Checkpoint(tensors, found.notes, found.beside, found.part)


def _unwrapped(path: Path, stored: Mapping[str, Any], part: str | None) -> Checkpoint:
    """Follow the keys of a checkpoint down to the mapping that holds tensors."""
    taken: list[str] = []
    notes: list[str] = []
    beside: dict[str, Any] = {}
    while not _is_state(stored):
        nests = {str(k): v for k, v in stored.items() if isinstance(v, Mapping) and _deep(v)}
        beside = {**{k: v for k, v in stored.items() if k not in nests}, **beside}
        key = _chosen(path, nests, part)
        others = [k for k in nests if k != key and not _is_of_training(k)]
        if others:
            notes.append(
                f"The file also holds weights under {_listed(others)}; to audit those, name one "
                "under `model.weights`."
            )
        taken.append(key)
        part = None if key == part else part
        stored = {str(k): v for k, v in nests[key].items()}
    if taken:
        notes.insert(0, f"Taken were the weights under {'.'.join(taken)!r} of the checkpoint.")
    return Checkpoint(stored, tuple(notes), beside, part)


def _chosen(path: Path, nests: Mapping[str, Any], part: str | None) -> str:
    """The key to follow; raises ModelError where none, or more than one, could be meant."""
    if part is not None and part in nests:
        return part
    likely = [k for k in nests if not _is_average(k) and not _is_of_training(k)]
    usual = [k for k in _NESTS if k in likely]
    if usual or len(likely) == 1:
        return (usual or likely)[0]
    if not nests or all(map(_is_of_training, nests)):
        raise ModelError(
            f"{path.name} holds no weights, expected a state dict (names and tensors). Save it "
            "with `torch.save(model.state_dict(), path)`."
        )
    kept = [k for k in nests if not _is_of_training(k)]
    said = "an average over training" if not likely else "several sets of weights"
    raise SeveralWeightsError(
        f"{path.name} holds {said} under {_listed(kept)}, and the spec does not say which are "
        f"audited. Name them: `model.weights: {kept[0]}`."
    )


def _is_state(stored: Mapping[str, Any]) -> bool:
    """Whether it holds layers: a checkpoint may hold a number of its own as a tensor, too."""
    tensors = [v for v in stored.values() if torch.is_tensor(v)]
    return any(v.ndim >= 2 for v in tensors) or (bool(tensors) and not _deep(stored))


def _deep(stored: Mapping[str, Any], depth: int = 4) -> bool:
    """Whether layers lie anywhere in a mapping of mappings."""
    return any(
        (torch.is_tensor(v) and v.ndim >= 2)
        or (isinstance(v, Mapping) and depth > 0 and _deep(v, depth - 1))
        for v in stored.values()
    )


def _is_average(name: str) -> bool:
    """Whether a key or prefix names an average over training: ema, model_ema, ema_state_dict."""
    words = name.lower().replace(".", "_").replace("-", "_").split("_")
    return not {"ema", "swa", "averaged", "modelema", "emamodel"}.isdisjoint(words)


def _is_of_training(key: str) -> bool:
    return key.lower().startswith(_NO_WEIGHTS)


def fitted(checkpoint: Checkpoint, own: Mapping[str, torch.Tensor]) -> Checkpoint:
    """The checkpoint's tensors under the names of a network's own state, `own`.

    What wrappers put into names is taken out (``module.``, ``_orig_mod.``), and the prefix under
    which a training script holds the network (``model.``) found by the network's own names;
    tensors outside of that prefix, a loss or a metric, are left. Where nothing fits, the tensors
    keep their names. Raises ModelError where several prefixes fit.
    """
    plain = {_without_wrappers(name): name for name in checkpoint.tensors}
    known = {_without_wrappers(name): name for name in own}
    if len(plain) < len(checkpoint.tensors) or len(known) < len(own):
        plain, known = {n: n for n in checkpoint.tensors}, {n: n for n in own}
    wanted = [name for name in known if not name.endswith(_COUNTERS)]
    fits = _prefixes(plain, wanted)
    prefix = _the_prefix(fits, part=checkpoint.part)
    averages = tuple(p for p in fits if p != prefix and _is_average(p))
    tensors: dict[str, torch.Tensor] = {}
    left: list[str] = []
    for name, stored in plain.items():
        inner = name.removeprefix(prefix)
        counts = inner.endswith(_COUNTERS) and inner not in known
        if not name.startswith(prefix) or name.startswith(averages) or counts:
            left.append(stored)
        else:
            tensors[known.get(inner, inner)] = checkpoint.tensors[stored]
    untold = [n for n in own if n not in tensors and n.endswith(_COUNTERS)]
    tensors |= {name: own[name] for name in untold}
    notes = (*checkpoint.notes, *_fitting_notes(plain, prefix, left=left, untold=untold))
    return Checkpoint(tensors, notes, checkpoint.beside)


def _without_wrappers(name: str) -> str:
    return ".".join(p for p in name.split(".") if p not in _WRAPPERS)


def _prefixes(plain: Mapping[str, str], wanted: Sequence[str]) -> list[str]:
    """What stands before the network's own names where all of them are there; "" for nothing."""
    if not wanted:
        return []
    first = wanted[0]
    ends = [n.removesuffix(first) for n in plain if n == first or n.endswith(f".{first}")]
    return [p for p in ends if all(p + name in plain for name in wanted)]


def _the_prefix(fits: Sequence[str], *, part: str | None) -> str:
    names = _listed([p.rstrip(".") for p in fits if p])
    if part is not None:
        named = [p for p in fits if p.rstrip(".") == _without_wrappers(part)]
        if named:
            return named[0]
        raise ModelError(
            f"model.weights is {part!r}, and the file holds no weights of the network under it"
            + (f"; it does under {names}" if names else "")
            + ". Correct `model.weights`, or drop it."
        )
    likely = [p for p in fits if not _is_average(p)]
    if not fits or "" in likely:
        return ""
    if len(likely) == 1:
        return likely[0]
    raise ModelError(
        f"The file holds weights of the network under {names}, and the spec does not say which "
        f"are audited. Name them: `model.weights: {fits[0].rstrip('.')}`."
    )


def _fitting_notes(
    plain: Mapping[str, str], prefix: str, *, left: Sequence[str], untold: Sequence[str]
) -> Iterator[str]:
    wrapped = sorted({p for n, s in plain.items() if n != s for p in s.split(".")} & _WRAPPERS)
    dropped = [f"{part}." for part in wrapped] + ([prefix] if prefix else [])
    if dropped:
        yield f"Taken out of the names of the weights: {_listed(dropped)}."
    if any(name.endswith("n_averaged") for name in left):
        yield "The weights are an average over training (the file counts it in n_averaged)."
    if left:
        yield f"Left in the file as no part of the network: {_listed(sorted(left))}."
    if untold:
        yield (
            f"The file holds no {_COUNTERS[0]} for {len(untold)} layers; no answer depends on it."
        )


def _listed(names: Sequence[str], most: int = 4) -> str:
    more = len(names) - most
    return ", ".join(map(repr, names[:most])) + (f" and {more} more" if more > 0 else "")


def _load_safetensors(path: Path) -> Any:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(str(path))
    except SafetensorError as error:
        raise ModelError(
            f"{path.name} is a damaged safetensors file ({error}). Save or copy it again."
        ) from error


def _load_pickle(path: Path) -> Any:
    try:
        with warnings.catch_warnings():
            # Of unusual pickles torch only warns; what it cannot read it refuses.
            warnings.simplefilter("ignore")
            # Said explicitly, so that TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD cannot turn code back on.
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise ModelError(
            f"{path.name} holds Python objects beside tensors, which could run code; nothing of "
            "it was run. Save the weights alone with `torch.save(model.state_dict(), path)`, or "
            "as .safetensors."
        ) from error
    except (RuntimeError, EOFError, ValueError, KeyError, AttributeError) as error:
        first = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise ModelError(
            f"{path.name} cannot be read as PyTorch weights ({first}). Save or copy it again."
        ) from error
