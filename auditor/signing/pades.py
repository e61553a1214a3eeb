"""A person's signature in a copy of the PDF (PAdES, ETSI EN 319 142), made by pyHanko."""

from __future__ import annotations

import io
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
