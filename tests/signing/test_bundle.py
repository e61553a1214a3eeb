"""A signed bundle: whatever is changed in it is named, and what a person decided is bound to it."""

import base64
import copy
import dataclasses
import json
import os
import shutil
import subprocess
import sys
import zlib
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives import serialization as pem
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import pkcs12
from cryptography.x509.oid import NameOID

from auditor.errors import DataError, MissingLibraryError
from auditor.findings import LimitResult, Verdict
from auditor.judging.judged_record import read_record
from auditor.record.files import write_record
from auditor.rendering import render
from auditor.reports.signed_by import recipe
from auditor.signing.attached import embedded_files
from auditor.signing.bundle import (
    Certificate,
    record_to_sign,
    signer,
    write_sign_off,
    write_signature,
)
from auditor.signing.envelope import EnvelopeError, canonical, pre_authentication, seal, unseal
from auditor.signing.keys import Passphrase, key_id, private_key, public_key
from auditor.signing.manifest import file_digest, is_plain, signer_of
from auditor.signing.statement import sign_off
from auditor.signing.statement import test_result as stated_result
from auditor.signing.verifying import verify

KEY = Ed25519PrivateKey.from_private_bytes(b"k" * 32)
DEAN = Ed25519PrivateKey.from_private_bytes(b"d" * 32)
NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
NAMES = ("MANIFEST.json", "MODEL_CARD.md", "audit.intoto.dsse.json", "audit.json", "findings.csv",
         "report.html", "report.pdf")  # fmt: skip


def pdf_with(data: bytes) -> bytes:
    """A PDF of one empty page that carries a file, laid out as WeasyPrint's writer does it."""
    packed = zlib.compress(data)
    objects = (
        b"<</Type /Catalog/Pages 2 0 R>>",
        b"<</Type /Pages/Kids [3 0 R]/Count 1>>",
        b"<</Type /Page/Parent 2 0 R/MediaBox [0 0 9 9]>>",
        b"<</Type /EmbeddedFile/Params <</Size 1>>/Filter /FlateDecode/Length %d>>\nstream\n%s\n"
        b"endstream" % (len(packed), packed),
    )
    pdf, places = b"%PDF-1.7\n", []
    for number, each in enumerate(objects, start=1):
        places.append(len(pdf))
        pdf += b"%d 0 obj\n%s\nendobj\n" % (number, each)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    end = b"trailer\n<</Size 5/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF\n" % len(pdf)
    return pdf + b"xref\n0 5\n0000000000 65535 f \n" + table + end


def unsigned(record, folder: Path) -> Path:
    write_record(record, folder / "audit.json")
    render(record, folder, formats=("html", "card", "csv"), signed_by=signer("A. Auditor", KEY))
    (folder / "report.pdf").write_bytes(pdf_with((folder / "audit.json").read_bytes()))
    (folder / "store").mkdir()
    (folder / "store" / "scores.parquet").write_bytes(b"private")
    return folder


def sign(folder: Path) -> Path:
    by = signer("A. Auditor", KEY)
    write_signature(folder, record_to_sign(folder), by=by, key=KEY, now=NOON)
    return folder


@pytest.fixture(scope="module")
def made(worlds, tmp_path_factory):
    return sign(unsigned(worlds.record(), tmp_path_factory.mktemp("bundle") / "audit-out"))


@pytest.fixture
def bundle(made, tmp_path):
    return Path(shutil.copytree(made, tmp_path / "audit-out"))


def check(folder, *keys, **given):
    return verify(folder, keys=[key.public_key() for key in keys or (KEY,)], **given)


def test_a_signed_folder_fits_and_says_what_was_not_checked(bundle):
    found = check(bundle)
    assert not found.problems
    assert not found.open_
    assert [line.partition(":")[0] for line in found.checked] == [
        "audit.intoto.dsse.json", "MANIFEST.json", "audit.json", "report.pdf"
    ]  # fmt: skip
    said = " ".join(found.not_checked)
    for what in (
        "labels true",
        "Who holds the key",
        "sign-off was removed",
        "store/",
        "model file",
    ):
        assert what in said


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("place", [0.0, 0.3, 0.6, 0.97])
def test_one_flipped_byte_in_any_file_is_noticed_and_the_file_named(bundle, name, place):
    path = bundle / name
    data = bytearray(path.read_bytes())
    data[int(place * len(data))] ^= 1
    path.write_bytes(data)
    found = check(bundle)
    (problem,) = found.problems
    assert problem.startswith(name)
    assert "Fetch the folder again" in problem or "Give the public key" in problem


def test_every_single_byte_of_the_envelope_counts(bundle):
    path = bundle / "audit.intoto.dsse.json"
    data = path.read_bytes()
    for i in range(0, len(data), 7):
        with pytest.raises(EnvelopeError, match=r"^audit\.intoto\.dsse\.json"):
            unseal(bytes([*data[:i], data[i] ^ 4, *data[i + 1 :]]), name=path.name,
                   keys=[KEY.public_key()])  # fmt: skip
    for more in (data + b" ", b" " + data, data[:-1], data.replace(b'","', b'", "', 1)):
        with pytest.raises(EnvelopeError):
            unseal(more, name=path.name, keys=[KEY.public_key()])


def test_files_of_two_bundles_that_are_mixed_are_named(bundle, worlds, tmp_path):
    other = worlds.record(spec=worlds.spec(audit={"title": "Another world", "seed": 8}))
    second = sign(unsigned(other, tmp_path / "other"))
    for name in ("report.pdf", "audit.json", "MANIFEST.json"):
        mixed = Path(shutil.copytree(bundle, tmp_path / f"mixed-{name}"))
        shutil.copy(second / name, mixed / name)
        (problem,) = check(mixed).problems
        assert problem.startswith(name)
        assert "is of another audit" in problem
    shutil.copy(second / "audit.intoto.dsse.json", bundle / "audit.intoto.dsse.json")
    (problem,) = check(bundle).problems
    assert problem.startswith("MANIFEST.json is not the one that was signed")


def test_a_pdf_with_another_record_inside_does_not_fit(worlds, tmp_path):
    folder = unsigned(worlds.record(), tmp_path / "out")
    (folder / "report.pdf").write_bytes(pdf_with(b'{"verdict":"PASS"}'))
    (problem,) = check(sign(folder)).problems
    assert problem.startswith("report.pdf carries another record than audit.json")


def test_a_pdf_that_carries_nothing_is_said_not_to_be_checked(worlds, tmp_path):
    folder = unsigned(worlds.record(), tmp_path / "out")
    (folder / "report.pdf").write_bytes(b"%PDF-1.7\n")
    found = check(sign(folder))
    assert not found.problems
    assert "report.pdf: it carries no record that could be compared." in found.not_checked


def test_missing_extra_and_linked_files_are_named(bundle):
    (bundle / "findings.csv").unlink()
    (bundle / "tables" / "more.csv").parent.mkdir(exist_ok=True)
    (bundle / "tables" / "more.csv").write_text("x")
    (bundle / "report.html").rename(bundle.parent / "moved.html")
    (bundle / "report.html").symlink_to(bundle.parent / "moved.html")
    os.mkfifo(bundle / "pipe")
    problems = check(bundle).problems
    said = {text.split()[0]: text for text in problems}
    assert set(said) == {"findings.csv", "tables/more.csv", "report.html", "pipe"}
    assert "is missing" in said["findings.csv"]
    assert "is not in the signed manifest" in said["tables/more.csv"]
    assert "is a link" in said["report.html"]
    assert "no regular file" in said["pipe"]


def test_a_linked_folder_and_a_linked_manifest_are_refused(bundle, tmp_path):
    (tmp_path / "link").symlink_to(bundle)
    assert "is no folder" in check(tmp_path / "link").problems[0]
    (bundle / "store").rename(tmp_path / "store")
    (bundle / "store").symlink_to(tmp_path / "store")
    assert check(bundle).problems[0].startswith("store is a link")
    (bundle / "MANIFEST.json").rename(tmp_path / "M.json")
    (bundle / "MANIFEST.json").symlink_to(tmp_path / "M.json")
    assert check(bundle).problems == ["MANIFEST.json is a link. Put the file itself in its place."]


def test_an_unsigned_folder_and_another_key_are_said(made, bundle):
    (problem,) = check(bundle, DEAN).problems
    assert "is signed with the key" in problem
    assert "Give the public key of its signer" in problem
    (bundle / "audit.intoto.dsse.json").unlink()
    assert check(bundle).problems[0].startswith("The folder is unsigned")


def test_the_store_is_left_out_and_may_change(bundle):
    (bundle / "store" / "scores.parquet").write_bytes(b"other")
    assert not check(bundle).problems


def test_a_signature_over_another_result_does_not_fit(bundle):
    statement = unseal((bundle / "audit.intoto.dsse.json").read_bytes(), name="x",
                       keys=[KEY.public_key()]).statement  # fmt: skip
    forged = copy.deepcopy(dict(statement))
    forged["predicate"]["result"] = "PASSED"
    (bundle / "audit.intoto.dsse.json").write_bytes(seal(forged, KEY))
    assert "states another result" in check(bundle).problems[0]
    forged["predicateType"] = "urn:other"
    (bundle / "audit.intoto.dsse.json").write_bytes(seal(forged, KEY))
    assert "another kind of statement" in check(bundle).problems[0]


def test_entries_named_as_what_the_statement_is_about_change_nothing(bundle):
    (bundle / "model").mkdir()
    (bundle / "data.test").write_text("x")
    assert not check(sign(bundle)).problems


def test_the_model_is_held_against_the_record(bundle, tmp_path):
    model = tmp_path / "model.onnx"
    model.write_bytes(b"not the model")
    assert "is not the model that was audited" in check(bundle, model=model).problems[0]
    assert "does not exist" in check(bundle, model=tmp_path / "no.onnx").problems[0]


@pytest.mark.parametrize(
    ("verdict", "severity", "required", "waived", "where"),
    [
        ("PASS", "blocking", True, None, "passedTests"),
        ("FAIL", "blocking", True, None, "failedTests"),
        ("FAIL", "blocking", True, "W-1", "warnedTests"),
        ("INCONCLUSIVE", "blocking", True, None, "failedTests"),
        ("NOT_RUN", "blocking", True, None, "failedTests"),
        ("NOT_RUN", "advisory", False, None, "warnedTests"),
        ("INCONCLUSIVE", "advisory", False, None, "warnedTests"),
        ("FAIL", "advisory", False, None, "warnedTests"),
    ],
)
def test_only_what_is_met_has_passed(worlds, verdict, severity, required, waived, where):
    limit = {"id": "x", "severity": severity, "required": required}
    result = LimitResult(limit=limit, findings=(), verdict=Verdict(verdict), waived_by=waived)
    record = dataclasses.replace(worlds.record(), limit_results=(result,))
    said = stated_result(record, {})["predicate"]
    assert {k: v for k, v in said.items() if k.endswith("Tests") and v} == {where: ["x"]}
    for audit, told in (("PASS", "PASSED"), ("PASS_WITH_WAIVERS", "WARNED"), ("FAIL", "FAILED"),
                        ("INCONCLUSIVE", "FAILED"), ("NOT_RUN", "FAILED")):  # fmt: skip
        of = dataclasses.replace(record, verdict=Verdict(audit))
        assert stated_result(of, {})["predicate"]["result"] == told


# Signing


def test_what_must_not_be_signed_is_refused(worlds, tmp_path):
    folder = unsigned(worlds.record(), tmp_path / "out")
    (folder / "key.pem").write_text("-----BEGIN PRIVATE KEY-----")
    with pytest.raises(DataError, match=r"key\.pem holds a private key"):
        sign(folder)
    (folder / "key.pem").rename(folder / "id_ed25519")
    with pytest.raises(DataError, match="id_ed25519 holds a private key"):
        sign(folder)
    for place in ("sign-off", "store/deep"):
        (folder / place).mkdir(parents=True)
        (folder / "id_ed25519").rename(folder / place / "id_ed25519")
        with pytest.raises(DataError, match=f"{place}/id_ed25519 holds a private key"):
            sign(folder)
        (folder / place / "id_ed25519").rename(folder / "id_ed25519")
        (folder / place).rmdir()
    (folder / "id_ed25519").write_text("It begins with -----BEGIN PRIVATE KEY-----")
    sign(folder)
    (folder / "link").symlink_to("/etc/hostname")
    with pytest.raises(DataError, match="link is a link"):
        sign(folder)
    (folder / "link").unlink()
    text = (folder / "audit.json").read_text().replace('"seed":7', '"seed":8')
    (folder / "audit.json").write_text(text)
    with pytest.raises(DataError, match="was changed after the audit had written it"):
        sign(folder)
    with pytest.raises(DataError, match="is no folder"):
        record_to_sign(tmp_path / "nowhere")
    with pytest.raises(DataError, match="--by is ' '"):
        signer(" ", KEY)


@pytest.mark.parametrize("name", ["A. Auditor\x1b[31m", "A.\u202eAuditor", "A\x00", "A\x08B"])
def test_a_name_with_characters_that_nobody_sees_signs_nothing(bundle, name):
    for option, named in (
        ("--by", lambda: signer(name, KEY)),
        ("--name", lambda: decide(bundle, person=name)),
        ("--as", lambda: decide(bundle, role=name)),
    ):
        with pytest.raises(DataError, match=f"{option} is .*every character is seen") as caught:
            named()
        assert str(caught.value).isprintable()
    assert signer("Ána  Núñez-Ó’Brien 李", KEY).name == "Ána Núñez-Ó’Brien 李"


def test_an_older_or_broken_record_is_one_sentence(bundle):
    for text, said in (('{"schema": "auditor/audit/v1"}', "has the schema 'auditor/audit/v1'"),
                       ("{", "is not JSON"), ("[]", "has the schema None")):  # fmt: skip
        (bundle / "audit.json").write_text(text)
        with pytest.raises(DataError, match=said) as caught:
            record_to_sign(bundle)
        assert str(caught.value).startswith("audit.json")


def test_a_report_that_is_rendered_again_in_a_signed_folder_stays_the_same(bundle):
    record = read_record(bundle)
    before = {p.name: p.read_bytes() for p in bundle.iterdir() if p.is_file()}
    render(record, bundle, formats=("html", "card", "csv"))
    assert {p.name: p.read_bytes() for p in bundle.iterdir() if p.is_file()} == before
    assert not check(bundle).problems
    assert signer_of(bundle, record) == signer("A. Auditor", KEY)
    other = dataclasses.replace(record, warnings=("changed",))
    assert signer_of(bundle, other) is None


def test_page_one_says_whether_it_is_signed(worlds, bundle, tmp_path):
    assert (
        f"Made to be signed by A. Auditor (key {key_id(KEY.public_key())[:12]})"
        in (bundle / "report.html").read_text()
    )
    render(worlds.record(), tmp_path / "plain", formats=("html", "card"))
    assert "Unsigned: a change would go unnoticed." in (tmp_path / "plain/report.html").read_text()
    assert "Unsigned" in (tmp_path / "plain/MODEL_CARD.md").read_text()


def test_names_that_lead_out_of_the_folder_are_none():
    for name in ("../x", "/etc/passwd", "a/../../x", "a\\b", "a\nb"):
        assert not is_plain(name), name
    assert is_plain("tables/größe.csv")


# The formats, against others


def test_the_recipe_needs_ten_lines_and_cryptography_alone(bundle, tmp_path):
    assert len([line for line in recipe().splitlines() if line]) == 10
    assert recipe() in (Path(__file__).parents[2] / "README.md").read_text()
    key = KEY.public_key().public_bytes(pem.Encoding.PEM, pem.PublicFormat.SubjectPublicKeyInfo)
    (bundle.parent / "key.pub.pem").write_bytes(key)

    def run():
        command = [sys.executable, "-I", "-c", recipe()]
        return subprocess.run(command, cwd=bundle, capture_output=True, text=True)

    assert run().returncode == 0
    (bundle / "report.pdf").write_bytes(b"other")
    done = run()
    assert done.returncode == 1
    assert "report.pdf" in done.stderr
    envelope = bundle / "audit.intoto.dsse.json"
    envelope.write_bytes(envelope.read_bytes().replace(b'"payload":"ey', b'"payload":"fy'))
    assert run().returncode != 0


def test_the_pre_authentication_encoding_is_that_of_the_specification():
    # Test vector of secure-systems-lab/dsse, protocol.md.
    assert pre_authentication("http://example.com/HelloWorld", b"hello world") == (
        b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
    )


def test_a_second_implementation_agrees(bundle):
    dsse = pytest.importorskip(
        "securesystemslib.dsse", reason="the second DSSE verifier, securesystemslib, is missing"
    )
    from securesystemslib.signer import SSlibKey

    stored = json.loads((bundle / "audit.intoto.dsse.json").read_bytes())
    key = SSlibKey.from_crypto(KEY.public_key(), keyid=key_id(KEY.public_key()))
    envelope = dsse.Envelope.from_dict(copy.deepcopy(stored))
    assert envelope.verify([key], 1)
    stored["payload"] = base64.b64encode(b"{}").decode()
    with pytest.raises(Exception, match="threshold"):
        dsse.Envelope.from_dict(stored).verify([key], 1)


def test_an_attachment_that_unpacks_without_end_is_cut():
    assert list(embedded_files(pdf_with(b"0" * 10**6), at_most=10)) == [b"0" * 11]
    assert list(
        embedded_files(b"<</Type /EmbeddedFile/Filter /FlateDecode>> stream x", at_most=9)
    ) == [b""]
    assert list(embedded_files(b"/EmbeddedFile " * 5000, at_most=9)) == []


# Sign-off


def decide(folder, decision="reject", notes="too many missed", **changes):
    given = {"person": "B. Dean", "role": "Head of housing", "key": DEAN, "now": NOON,
             "trusted": [KEY.public_key()]} | changes  # fmt: skip
    return write_sign_off(folder, decision=decision, notes=notes, **given)


def test_a_sign_off_holds_who_what_when_and_on_which_report(bundle):
    path, said = decide(bundle)
    assert said["author"] == "A. Auditor"
    assert said["same_person"] is False
    found = check(bundle, KEY, DEAN)
    assert not found.problems
    assert found.checked[-1] == (
        f"sign-off/{path.name}: rejected by B. Dean (Head of housing) on 2026-11-22: "
        "“too many missed”"
    )
    statement = unseal(path.read_bytes(), name="x", keys=[DEAN.public_key()]).statement
    about = {one["name"] for one in statement["subject"]}
    assert about == {"MANIFEST.json", "audit.json", "report.html", "report.pdf"}


def test_a_sign_off_by_an_unknown_key_is_open_and_a_removed_one_is_not_claimed(bundle):
    path, _ = decide(bundle)
    found = check(bundle)
    assert not found.problems
    assert "is signed with the key" in found.open_[0]
    path.unlink()
    assert any("there is no sign-off" in line for line in check(bundle).not_checked)


def test_a_later_change_voids_a_sign_off(bundle):
    decide(bundle)
    (bundle / "findings.csv").write_text("something else")
    sign(bundle)
    (problem,) = check(bundle, KEY, DEAN).problems
    assert "is void: MANIFEST.json was changed after B. Dean had decided on 2026-11-22" in problem


def test_a_flipped_byte_in_a_sign_off_is_noticed(bundle):
    path, _ = decide(bundle)
    data = bytearray(path.read_bytes())
    data[40] ^= 1
    path.write_bytes(data)
    (problem,) = check(bundle, KEY, DEAN).problems
    assert problem.startswith(f"sign-off/{path.name}")


def test_a_sign_off_under_another_name_is_none(bundle):
    path, _ = decide(bundle)
    shutil.copy(path, path.with_name("approved by B. Dean.dsse.json"))
    (problem,) = check(bundle, KEY, DEAN).problems
    assert problem == (
        "sign-off/approved by B. Dean.dsse.json is not the name of this sign-off. Rename it to "
        f"sign-off/{path.name}."
    )


@pytest.mark.parametrize("changes", [{"person": "a. AUDITOR"}, {"key": KEY}])
def test_that_author_and_approver_are_one_person_is_printed(bundle, changes):
    decide(bundle, **changes)
    assert "the same person signed the audit" in check(bundle, KEY, DEAN).checked[-1]


@pytest.mark.parametrize(
    ("decision", "said"),
    [("conditional", "the conditions"), ("reject", "the reason"), ("approve", "who accepts")],
)
def test_a_decision_against_the_verdict_or_with_conditions_needs_notes(bundle, decision, said):
    with pytest.raises(DataError, match=said):
        decide(bundle, decision, " ")


def test_nobody_signs_off_what_does_not_fit(bundle):
    with pytest.raises(DataError, match="--as is ''"):
        decide(bundle, role="")
    (bundle / "report.html").write_text("other")
    with pytest.raises(DataError, match=r"cannot be signed off. report\.html is not the file"):
        decide(bundle)


def certificate(path: Path, passphrase: bytes) -> Path:
    """A PKCS #12 file with a key and a certificate of its own making."""
    key = generate_private_key(SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "B. Dean")])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(7)
        .not_valid_before(datetime(2026, 1, 1, tzinfo=UTC))
        .not_valid_after(datetime(2036, 1, 1, tzinfo=UTC))
        .sign(key, hashes.SHA256())
    )
    how = pem.BestAvailableEncryption(passphrase)
    path.write_bytes(pkcs12.serialize_key_and_certificates(b"dean", key, made, None, how))
    return path


def test_a_certificate_signs_a_copy_of_the_pdf_and_leaves_the_report_as_it_is(
    bundle, tmp_path, monkeypatch
):
    pytest.importorskip("pyhanko", reason="PAdES needs pyHanko: pip install 'auditor[pades]'")
    monkeypatch.setenv("WORDS", "open sesame")
    by = Certificate(certificate(tmp_path / "dean.p12", b"open sesame"), Passphrase("WORDS"))
    path, _ = decide(bundle, certificate=by)
    signed = path.with_name(path.name.replace(".dsse.json", ".report.pdf"))
    report = (bundle / "report.pdf").read_bytes()
    assert signed.read_bytes().startswith(report)
    assert b"/ETSI.CAdES.detached" in signed.read_bytes()
    found = check(bundle, KEY, DEAN)
    assert not found.problems
    assert f"sign-off/{signed.name}: report.pdf, with a signature appended" in found.checked
    whose = "the signature inside fits the whole file; its certificate names Common Name: B. Dean, "
    assert f"sign-off/{signed.name}: {whose}" in found.checked[-1]
    assert f"sign-off/{signed.name}: who issued that certificate" in found.not_checked[-1]
    assert check(bundle).open_[-1].startswith(f"sign-off/{signed.name} is named by no sign-off")
    signed.write_bytes(signed.read_bytes() + b"\n")
    assert "is void" in check(bundle, KEY, DEAN).problems[0]
    signed.write_bytes(b"another PDF")
    assert f"sign-off/{signed.name} is no signed copy" in check(bundle, KEY, DEAN).problems[-1]
    monkeypatch.setenv("WORDS", "wrong")
    later = NOON.replace(hour=13)
    for each in (bundle / "sign-off").iterdir():
        each.unlink()
    with pytest.raises(DataError, match=r"dean\.p12 cannot be opened with that passphrase"):
        decide(bundle, certificate=by, now=later)


def approve_copy(path: Path, copy_: Path) -> None:
    """Put a statement about a copy as it is now in place of a sign-off, by the dean's own key."""
    statement = sign_off(
        files={f"sign-off/{copy_.name}": file_digest(copy_)}, person="B. Dean", role="Head",
        decision="approve", notes="", time="2026-11-22T12:00:00Z", author="A. Auditor",
        same_person=False, verdict="FAIL",
    )  # fmt: skip
    path.write_bytes(seal(statement, DEAN))


def test_a_signature_inside_a_pdf_that_does_not_fit_is_named(bundle, tmp_path, monkeypatch):
    pytest.importorskip("pyhanko", reason="PAdES needs pyHanko: pip install 'auditor[pades]'")
    monkeypatch.setenv("WORDS", "open sesame")
    by = Certificate(certificate(tmp_path / "dean.p12", b"open sesame"), Passphrase("WORDS"))
    path, _ = decide(bundle, certificate=by)
    signed = path.with_name(path.name.replace(".dsse.json", ".report.pdf"))
    data, report = signed.read_bytes(), (bundle / "report.pdf").read_bytes()
    changed = data.replace(b"/Reason", b"/Reasom")
    for copy_, said in (
        (changed, "does not fit its bytes"),
        (data + b"\n% more\n", "does not fit its bytes"),
        (report, "holds none that can be read"),
        (data[:-400], "holds none that can be read"),
    ):
        signed.write_bytes(copy_)
        approve_copy(path, signed)
        (problem,) = check(bundle, KEY, DEAN).problems
        assert problem.startswith(f"sign-off/{signed.name}: the signature inside the PDF")
        assert said in problem


def test_without_pyhanko_the_signature_inside_is_said_not_to_be_checked(bundle, monkeypatch):
    path, _ = decide(bundle)
    signed = path.with_name(path.name.replace(".dsse.json", ".report.pdf"))
    signed.write_bytes((bundle / "report.pdf").read_bytes() + b"more")
    approve_copy(path, signed)
    monkeypatch.setitem(sys.modules, "pyhanko", None)
    monkeypatch.setitem(sys.modules, "pyhanko.pdf_utils.misc", None)
    found = check(bundle, KEY, DEAN)
    assert not found.problems
    assert "(PAdES). For it, install pyHanko (pip install" in found.not_checked[-1]


def test_without_pyhanko_a_certificate_is_refused_with_the_remedy(bundle, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyhanko", None)
    monkeypatch.setitem(sys.modules, "pyhanko.pdf_utils.incremental_writer", None)
    with pytest.raises(MissingLibraryError, match="or leave --certificate out"):
        decide(bundle, certificate=Certificate(tmp_path / "x.p12", Passphrase()))
    assert not list((bundle / "sign-off").glob("*"))


# Keys


def write_key(path, key=KEY, passphrase=None, mode=0o600):
    how = pem.BestAvailableEncryption(passphrase) if passphrase else pem.NoEncryption()
    path.write_bytes(key.private_bytes(pem.Encoding.PEM, pem.PrivateFormat.PKCS8, how))
    path.chmod(mode)
    return path


def test_a_passphrase_comes_from_a_variable_a_descriptor_or_a_terminal(tmp_path, monkeypatch):
    path = write_key(tmp_path / "key.pem", passphrase=b"open sesame")
    monkeypatch.setenv("KEY_WORDS", "open sesame")
    own = key_id(KEY.public_key())
    assert key_id(private_key(path, Passphrase(variable="KEY_WORDS")).public_key()) == own
    reading, writing = os.pipe()
    os.write(writing, b"open sesame\n")
    os.close(writing)
    assert key_id(private_key(path, Passphrase(descriptor=reading)).public_key()) == own
    with pytest.raises(DataError, match="there is no terminal to ask"):
        private_key(path, Passphrase())
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True)
    monkeypatch.setattr("getpass.getpass", lambda prompt: "open sesame")
    assert key_id(private_key(path, Passphrase()).public_key()) == own


def test_keys_that_cannot_be_used_are_one_sentence_with_the_remedy(tmp_path, monkeypatch):
    encrypted = write_key(tmp_path / "key.pem", passphrase=b"open sesame")
    monkeypatch.setenv("WRONG", "x")
    monkeypatch.delenv("UNSET", raising=False)
    junk = tmp_path / "junk.pem"
    junk.write_text("no key")
    junk.chmod(0o600)
    curve = write_key(tmp_path / "curve.pem", generate_private_key(SECP256R1()))
    seen = write_key(tmp_path / "seen.pem", mode=0o644)
    public = tmp_path / "key.pub.pem"
    public.write_bytes(
        KEY.public_key().public_bytes(pem.Encoding.PEM, pem.PublicFormat.SubjectPublicKeyInfo)
    )
    for path, words, said in (
        (encrypted, Passphrase(variable="WRONG"), "cannot be opened with that passphrase"),
        (encrypted, Passphrase(variable="UNSET"), "which is not set"),
        (encrypted, Passphrase(descriptor=999), "cannot be read"),
        (junk, Passphrase(), "holds no private key"),
        (public, Passphrase(), "holds no private key"),
        (curve, Passphrase(), "is no ed25519 key"),
        (seen, Passphrase(), "may be read by others. Run  chmod 600"),
        (tmp_path / "none.pem", Passphrase(), "does not exist. Make a pair of keys"),
    ):
        with pytest.raises(DataError, match=said):
            private_key(path, words)
    with pytest.raises(DataError, match="holds no public key"):
        public_key(junk)


def test_keys_made_by_openssl_are_read(tmp_path, monkeypatch):
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    path = tmp_path / "key.pem"
    monkeypatch.setenv("KEY_WORDS", "open sesame")
    make = ["openssl", "genpkey", "-algorithm", "ed25519", "-aes-256-cbc", "-pass", "env:KEY_WORDS"]
    subprocess.run([*make, "-out", path], check=True, capture_output=True)
    show = ["openssl", "pkey", "-in", path, "-passin", "env:KEY_WORDS", "-pubout", "-out"]
    subprocess.run([*show, tmp_path / "key.pub.pem"], check=True, capture_output=True)
    secret = private_key(path, Passphrase(variable="KEY_WORDS"))
    assert key_id(secret.public_key()) == key_id(public_key(tmp_path / "key.pub.pem"))


# The command line


def test_sign_verify_and_sign_off_at_the_command_line(command, worlds, tmp_path):
    folder = tmp_path / "out"
    write_record(dataclasses.replace(worlds.record(), clauses=None), folder / "audit.json")
    key, dean = write_key(tmp_path / "key.pem"), write_key(tmp_path / "dean.pem", DEAN)
    for name, one in (("key.pub.pem", KEY), ("dean.pub.pem", DEAN)):
        written = one.public_key().public_bytes(
            pem.Encoding.PEM, pem.PublicFormat.SubjectPublicKeyInfo
        )
        (tmp_path / name).write_bytes(written)
    pub = ("--pub", tmp_path / "key.pub.pem")
    code, said, _ = command("verify", folder, *pub)
    assert code == 1
    assert said.splitlines()[-1].startswith("DOES NOT FIT The folder is unsigned")
    code, said, _ = command("sign", folder, "--key", key, "--by", "A. Auditor")
    assert code == 0
    assert said.startswith("Signed ")
    code, said, _ = command("verify", folder, *pub)
    assert code == 0
    assert "fits         report.pdf: the record inside is audit.json, to the byte" in said
    assert "not checked  Who holds the key" in said
    code, said, error = command(
        "signoff", folder, "--as", "Head", "--name", "B. Dean", "--decision", "reject",
        "--notes", "not yet\nfits         all", "--key", dean, *pub,
    )  # fmt: skip
    assert code == 0, error
    assert "rejected by B. Dean (Head)" in said
    assert len(said.splitlines()) == 1
    assert command("verify", folder, *pub)[0] == 3
    code, said, _ = command("verify", folder, *pub, "--pub", tmp_path / "dean.pub.pem")
    assert code == 0
    assert r"“not yet\nfits         all”" in said
    (folder / "report.html").write_text("other")
    code, said, _ = command("verify", folder, *pub, "--pub", tmp_path / "dean.pub.pem")
    assert code == 1
    assert "DOES NOT FIT report.html is not the file that was signed" in said
    code, _, error = command("sign", folder, "--key", key, "--by", "A", "--passphrase-env", "A",
                             "--passphrase-fd", "3")  # fmt: skip
    assert code == 2
    assert "Give one of them" in error
    (folder / "link").symlink_to("/etc/hostname")
    code, _, error = command("sign", folder, "--key", key, "--by", "Somebody else")
    assert code == 2
    assert "link is a link" in error
    assert (folder / "report.html").read_text() == "other"


def test_canonical_json_is_one_sequence_of_bytes():
    assert canonical({"b": 1, "a": "ä"}) == b'{"a":"\\u00e4","b":1}'
