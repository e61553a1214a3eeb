"""The frame that the tests of heads share, and one image read."""

import math

from auditor.models.heads.registry import read_answers

SIZE = (64, 96)
"""Height and width; not square, so that exchanged sides show."""


def decode(raw, head, n_classes, size=SIZE):
    (answer,) = read_answers(raw, head, n_classes=n_classes, size=size)
    return answer


def logistic(value):
    return 1 / (1 + math.exp(-value))
