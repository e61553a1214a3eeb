"""What a check is, what it may need, and what evidence it is handed.

A check declares needs; the engine plans passes from them, runs each pass once, and hands out
nothing that was not declared.
"""

from auditor.contract.check import (
    FAMILIES,
    Check,
    check_classes,
    make_check,
)
from auditor.contract.evidence import (
    Evidence,
    ManyRows,
    UndeclaredNeedError,
)
from auditor.contract.needs import (
    Attributes,
    Available,
    Boxes,
    ClassScores,
    Confidences,
    Declared,
    Embedding,
    Gradients,
    LabelledSplits,
    LiveModel,
    Manifest,
    Need,
    NotMeasurableError,
    Predictions,
    Scan,
    Truth,
    Units,
    Unmet,
)
from auditor.contract.passes import (
    AS_GIVEN,
    EXPORTED,
    Pass,
    input_name,
)
from auditor.contract.words import Words

__all__ = [
    "AS_GIVEN",
    "EXPORTED",
    "FAMILIES",
    "Attributes",
    "Available",
    "Boxes",
    "Check",
    "ClassScores",
    "Confidences",
    "Declared",
    "Embedding",
    "Evidence",
    "Gradients",
    "LabelledSplits",
    "LiveModel",
    "Manifest",
    "ManyRows",
    "Need",
    "NotMeasurableError",
    "Pass",
    "Predictions",
    "Scan",
    "Truth",
    "UndeclaredNeedError",
    "Units",
    "Unmet",
    "Words",
    "check_classes",
    "input_name",
    "make_check",
]
