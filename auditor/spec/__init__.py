"""The audit spec: `audit.yaml` and the declarations beside it, as frozen values."""

from auditor.spec.audit_spec import (
    SPLITS,
    SUBJECT_KEYS,
    AttributeSpec,
    AuditSection,
    AuditSpec,
    ClaimSpec,
    ColumnsSpec,
    DataClassesSpec,
    DatasetSpec,
    DataSpec,
    DicomSpec,
    ImageLimits,
    Split,
    UnitColumn,
)
from auditor.spec.conditions import ConditionsSpec
from auditor.spec.consequences_spec import NOTHING, ConsequencesSpec, CostsSpec
from auditor.spec.document import (
    Document,
)
from auditor.spec.heads import HEADS, AnyHead, HeadSpec, OutputKeys
from auditor.spec.model_spec import (
    ClassCount,
    InputSpec,
    Interpolation,
    ModelSpec,
    OperatingPointSpec,
    OutputSpec,
    RunLimits,
    Task,
)
from auditor.spec.shortcut_spec import ShortcutSpec
from auditor.spec.spec_part import Fraction, Positive, SpecPart
from auditor.spec.target import TargetSpec
from auditor.spec.variants import AS_GIVEN, COMPRESSED, FP16, INT8, RuntimeSpec, VariantSpec

__all__ = [
    "AS_GIVEN",
    "COMPRESSED",
    "FP16",
    "HEADS",
    "INT8",
    "NOTHING",
    "SPLITS",
    "SUBJECT_KEYS",
    "AnyHead",
    "AttributeSpec",
    "AuditSection",
    "AuditSpec",
    "ClaimSpec",
    "ClassCount",
    "ColumnsSpec",
    "ConditionsSpec",
    "ConsequencesSpec",
    "CostsSpec",
    "DataClassesSpec",
    "DataSpec",
    "DatasetSpec",
    "DicomSpec",
    "Document",
    "Fraction",
    "HeadSpec",
    "ImageLimits",
    "InputSpec",
    "Interpolation",
    "ModelSpec",
    "OperatingPointSpec",
    "OutputKeys",
    "OutputSpec",
    "Positive",
    "RunLimits",
    "RuntimeSpec",
    "ShortcutSpec",
    "SpecPart",
    "Split",
    "TargetSpec",
    "Task",
    "UnitColumn",
    "VariantSpec",
]
