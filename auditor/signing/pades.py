"""A person's signature in a copy of the PDF (PAdES, ETSI EN 319 142), by pyHanko."""

from __future__ import annotations

import io
import logging
from dataclasses import dataclass
from pathlib import Path

from auditor.errors import DataError, MissingLibraryError
from auditor.opening import require_file
from auditor.signing.keys import Passphrase

MOST_BYTES = 1_000_000


def signed_pdf(
    pdf: bytes, *, certificate: Path, passphrase: Passphrase, person: str, reason: str
) -> bytes:
    """A report with a signature appended: its own bytes stay as they are, in front.

    `certificate` is a PKCS #12 file with key and certificate. No trusted time is asked for, since
    that needs a network.

    Raises
    ------
    MissingLibraryError
        When pyHanko is not installed.
    DataError
        When the file holds no certificate that can be used.
    """
    try:
        from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
        from pyhanko.sign import signers
        from pyhanko.sign.fields import SigSeedSubFilter
    except ImportError as error:
        raise MissingLibraryError(
            "A signature in the PDF needs pyHanko, which is not installed. Install it with  "
            "pip install 'auditor[pades]'  or leave --certificate out."
        ) from error
    remedy = "Give a PKCS #12 file (.p12, .pfx) that holds key and certificate."
    require_file(
        certificate, what="--certificate", at_most=MOST_BYTES, error=DataError, remedy=remedy
    )
    signer = signers.SimpleSigner.load_pkcs12(
        str(certificate), passphrase=passphrase.read(certificate)
    )
    if signer is None:
        raise DataError(
            f"--certificate: {certificate} cannot be opened with that passphrase, or holds no key. "
            f"{remedy}"
        )
    meta = signers.PdfSignatureMetadata(
        field_name="SignOff",
        name=person,
        reason=reason,
        md_algorithm="sha256",
        subfilter=SigSeedSubFilter.PADES,
    )
    signed: io.BytesIO = signers.sign_pdf(
        IncrementalPdfFileWriter(io.BytesIO(pdf)), meta, signer=signer
    )
    return signed.getvalue()


@dataclass(frozen=True)
class SignedInside:
    """Whose certificate signed a PDF, its SHA-256, and whether the signature holds for all of it.

    `fits` is for the bytes alone: who issued the certificate, and when it was used, is not known.
    """

    subject: str
    certificate: str
    fits: bool


def signed_inside(pdf: bytes) -> SignedInside | None:
    """The last signature inside of a PDF; None where there is none that can be read.

    Nothing is fetched: the certificate stands for itself, and no revocation is asked for.

    Raises
    ------
    MissingLibraryError
        When pyHanko is not installed.
    """
    try:
        from pyhanko.pdf_utils.misc import PdfError
        from pyhanko.pdf_utils.reader import PdfFileReader
        from pyhanko.sign.validation import SignatureCoverageLevel, validate_pdf_signature
        from pyhanko_certvalidator import ValidationContext
    except ImportError as error:
        raise MissingLibraryError("pip install 'auditor[pades]'") from error
    for library in ("pyhanko", "pyhanko_certvalidator"):
        # They print what does not fit, with a traceback, where nobody listens.
        logging.getLogger(library).addHandler(logging.NullHandler())
    try:
        found = PdfFileReader(io.BytesIO(pdf)).embedded_regular_signatures
        if not found:
            return None
        certificate = found[-1].signer_cert
        alone = ValidationContext(trust_roots=[certificate], allow_fetching=False)
        status = validate_pdf_signature(found[-1], alone)
    except (PdfError, ValueError, KeyError, TypeError, OSError):
        return None
    whole = status.coverage is SignatureCoverageLevel.ENTIRE_FILE
    return SignedInside(
        subject=str(certificate.subject.human_friendly),
        certificate=certificate.sha256.hex(),
        fits=bool(status.intact and status.valid and whole),
    )
