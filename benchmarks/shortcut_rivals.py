"""What two other tools say of the same worlds, by the rules that they publish, written anew.

deepchecks 0.18, vision: `PropertyLabelCorrelation` fails where the predictive power score of a
property for the label is 0.8 or more (a decision tree, four folds, weighted F1 over that of the
better of the commonest class and a random answer); `WeakSegmentsPerformance` warns where a segment
of at least 5% of the images has at most 80% of the average score. cleanlab 2.9, Datalab
`spurious_correlations`: a property is flagged where min(1, (1 - accuracy) / (1 - baseline)) is
below 0.3, the accuracy being that of a Gaussian naive Bayes of this property alone; its baseline is
the *index* of the commonest class over the number of images (as its source has it).
"""

from __future__ import annotations

import numpy as np

WEAK, LEAST_SEGMENT, STRONG, SPURIOUS = 0.8, 0.05, 0.8, 0.3


def image_properties(frames: np.ndarray) -> dict[str, np.ndarray]:
    """Properties of both tools: brightness, contrast, colours' shares, sharpness, information."""
    values = frames.astype(np.float64)
    grey = values @ np.array([0.299, 0.587, 0.114])
    total = values.sum(axis=(1, 2, 3)) + 1e-9
    laplacian = (4 * grey[:, 1:-1, 1:-1] - grey[:, :-2, 1:-1] - grey[:, 2:, 1:-1]
                 - grey[:, 1:-1, :-2] - grey[:, 1:-1, 2:])  # fmt: skip
    entropy = []
    for one in grey.astype(np.uint8):
        share = np.bincount(one.reshape(-1), minlength=256) / one.size
        entropy.append(-(share[share > 0] * np.log2(share[share > 0])).sum())
    return {
        "brightness": grey.mean(axis=(1, 2)),
        "contrast": grey.std(axis=(1, 2)),
        **{f"{name} share": values[..., i].sum(axis=(1, 2)) / total
           for i, name in enumerate(("red", "green", "blue"))},
        "sharpness": laplacian.var(axis=(1, 2)),
        "information": np.array(entropy),
    }  # fmt: skip


def predictive_power(values: np.ndarray, labels: np.ndarray) -> float:
    """The predictive power score of one property for the label, from 0 to 1."""
    from sklearn.metrics import f1_score
    from sklearn.model_selection import cross_val_score
    from sklearn.tree import DecisionTreeClassifier

    tree = DecisionTreeClassifier(random_state=0)
    found = cross_val_score(tree, values[:, None], labels, cv=4, scoring="f1_weighted").mean()
    commonest = np.full(len(labels), np.bincount(labels).argmax())
    shuffled = np.random.default_rng(0).permutation(labels)
    naive = max(f1_score(labels, guess, average="weighted") for guess in (commonest, shuffled))
    return float(max(0.0, (found - naive) / (1 - naive)))


def deepchecks_correlation(frames: np.ndarray, labels: np.ndarray) -> bool:
    return any(predictive_power(v, labels) >= STRONG for v in image_properties(frames).values())


def deepchecks_weak(right: np.ndarray, *groups: np.ndarray) -> bool:
    """A segment by one of `groups` (or both crossed) at 80% of the average or less."""
    cells = [np.asarray(g) for g in groups]
    if len(groups) == 2:
        cells.append(np.char.add(groups[0].astype(str), groups[1].astype(str)))
    for cell in cells:
        for name in np.unique(cell):
            inside = cell == name
            if inside.mean() >= LEAST_SEGMENT and right[inside].mean() <= WEAK * right.mean():
                return True
    return False


def cleanlab_spurious(frames: np.ndarray, labels: np.ndarray) -> bool:
    from sklearn.model_selection import cross_val_predict
    from sklearn.naive_bayes import GaussianNB

    baseline = np.bincount(labels).argmax() / len(labels)
    for values in image_properties(frames).values():
        said = cross_val_predict(GaussianNB(), values[:, None], labels, cv=5)
        if min(1.0, (1 - (said == labels).mean()) / (1 - baseline)) < SPURIOUS:
            return True
    return False
