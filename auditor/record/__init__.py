"""The record of an audit: values and files, no judging."""

from auditor.record.audit_record import (
    SCHEMA,
    TABLE_ROWS,
    Answer,
    AttributeSummary,
    AuditRecord,
    CheckResults,
    CheckText,
    DatasetSummary,
    GroupCount,
    KeptTable,
    NotPlannedCheck,
    PassFacts,
    PlanSummary,
    SetApart,
    keep_table,
)

__all__ = [
    "SCHEMA",
    "TABLE_ROWS",
    "Answer",
    "AttributeSummary",
    "AuditRecord",
    "CheckResults",
    "CheckText",
    "DatasetSummary",
    "GroupCount",
    "KeptTable",
    "NotPlannedCheck",
    "PassFacts",
    "PlanSummary",
    "SetApart",
    "keep_table",
]
