"""DICOM files, written here byte by byte: windows, rescale, and files that nobody should trust."""

import importlib.util
import io
import struct
import sys

import numpy as np
import pytest

import auditor
from auditor.data.dicom import is_dicom, require_pydicom
from auditor.data.images import UnreadableImageError, decode, read_header
from auditor.errors import MissingLibraryError
from auditor.spec import DicomSpec

needs_pydicom = pytest.mark.skipif(
    importlib.util.find_spec("pydicom") is None,
    reason="pydicom is not installed (pip install 'auditor[dicom]')",
)
EXPLICIT, IMPLICIT, BIG = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2", "1.2.840.10008.1.2.2"
PATIENT = "Somebody^Jane-1961"


def element(tag, kind, value, syntax=EXPLICIT):
    group, number = tag
    end = ">" if syntax == BIG and group != 2 else "<"
    value = value + b"\0" * (len(value) % 2)
    if syntax == IMPLICIT and group != 2:
        return struct.pack("<HHI", group, number, len(value)) + value
    head = struct.pack(f"{end}HH2s", group, number, kind)
    if kind in (b"OW", b"OB", b"SQ"):
        return head + struct.pack(f"{end}HI", 0, len(value)) + value
    return head + struct.pack(f"{end}H", len(value)) + value


def dicom_file(values, *, syntax=EXPLICIT, kind="MONOCHROME2", stored=16, high=None, pixels=None,
               size=None, samples=1, **texts):  # fmt: skip
    """A file of `values` (h, w), 8 or 16 bits, signed or not; `texts` are of (0028,10xx)."""
    values = np.asarray(values)
    rows, columns = size or values.shape
    allocated = values.itemsize * 8
    end = ">" if syntax == BIG else "<"
    raw = values.astype(values.dtype.newbyteorder(end)).tobytes() if pixels is None else pixels

    def short(number, value, group=0x28):
        return element((group, number), b"US", struct.pack(f"{end}H", value), syntax)

    def text(number, value, group=0x28, kind=b"DS"):
        return element((group, number), kind, str(value).encode(), syntax)

    numbers = {"WindowCenter": 0x1050, "WindowWidth": 0x1051, "RescaleIntercept": 0x1052,
               "RescaleSlope": 0x1053, "VOILUTFunction": 0x1056}  # fmt: skip
    body = [
        text(0x10, PATIENT, group=0x10, kind=b"PN"),
        short(2, samples),
        text(4, kind, kind=b"CS"),
        short(0x10, rows),
        short(0x11, columns),
        short(0x100, allocated),
        short(0x101, stored),
        short(0x102, stored - 1 if high is None else high),
        short(0x103, int(values.dtype.kind == "i")),
        *(text(numbers[n], texts[n]) for n in sorted(texts, key=numbers.get)),
        element((0x7FE0, 0x10), b"OW", raw, syntax),
    ]
    meta = element((2, 0x10), b"UI", syntax.encode())
    group = element((2, 0), b"UL", struct.pack("<I", len(meta)))
    return bytes(128) + b"DICM" + group + meta + b"".join(body)


def grey(content, window=(100, 201), max_pixels=10**6):
    """The grey levels (h, w) of a file."""
    decoded = decode(content, max_pixels=max_pixels, dicom=DicomSpec(window=window))
    assert (decoded.pixels == decoded.pixels[:, :, :1]).all()
    return decoded.pixels[:, :, 0]


VALUES = np.array([[-500, 0, 1], [50, 100, 4000]], dtype=np.int16)
# (x - 99.5) / 200 + 0.5, cut to 0 and 1, times 255: PS3.3 C.11.2.1.2.1.
SHOWN = [[0, 1, 2], [64, 128, 255]]


@needs_pydicom
@pytest.mark.parametrize("syntax", [EXPLICIT, IMPLICIT, BIG])
def test_a_declared_window_is_that_of_the_standard(syntax):
    assert grey(dicom_file(VALUES, syntax=syntax)).tolist() == SHOWN


@needs_pydicom
def test_it_is_what_pydicom_makes_of_the_same_file():
    import pydicom
    from pydicom.pixels import apply_modality_lut, apply_windowing

    values = np.random.default_rng(4).integers(-1000, 3000, (20, 30)).astype(np.int16)
    content = dicom_file(values, RescaleSlope=0.5, RescaleIntercept=-100, WindowCenter=40,
                         WindowWidth=400)  # fmt: skip
    read = pydicom.dcmread(io.BytesIO(content))
    real = apply_modality_lut(read.pixel_array, read)
    low, high = (apply_windowing(np.array([end]), read)[0] for end in (-1e6, 1e6))
    wanted = (apply_windowing(real, read) - low) / (high - low) * 255
    assert np.abs(grey(content, "file") - wanted).max() <= 0.5 + 1e-6
    assert (grey(content, (40, 400)) == grey(content, "file")).all()


@needs_pydicom
def test_rescale_inversion_and_bits_beside_the_stored_ones():
    plain = grey(dicom_file(VALUES))
    rescaled = dicom_file(VALUES, RescaleSlope=2, RescaleIntercept=-10)
    assert (grey(rescaled, (189.5, 401)) == plain).all()
    assert (grey(dicom_file(VALUES, kind="MONOCHROME1")) == 255 - plain).all()
    twelve = (VALUES.clip(-2048, 2047).view(np.uint16) & 0xFFF) | 0xA000
    assert (grey(dicom_file(twelve.view(np.int16), stored=12)) == plain).all()
    shifted = (VALUES.clip(-2048, 2047).view(np.uint16) << 4) | 0x5
    assert (grey(dicom_file(shifted.view(np.int16), stored=12, high=15)) == plain).all()
    bytes_ = np.array([[0, 100, 255]], dtype=np.uint8)
    assert grey(dicom_file(bytes_, stored=8)).tolist() == [[1, 128, 255]]


@needs_pydicom
def test_the_first_window_of_a_file_is_taken_and_one_without_is_refused():
    several = dicom_file(VALUES, WindowCenter="100\\40", WindowWidth="201\\400")
    assert grey(several, "file").tolist() == SHOWN
    for texts in ({}, {"WindowCenter": 1, "WindowWidth": 9, "VOILUTFunction": "SIGMOID"}):
        with pytest.raises(UnreadableImageError, match=r"states no linear window; say `data.dicom"):
            grey(dicom_file(VALUES, **texts), "file")


BAD = {
    "compressed": (dicom_file(VALUES, syntax="1.2.840.10008.1.2.4.90"),
                   r"compressed pixels \(transfer syntax 1.2.840.10008.1.2.4.90\).*uncompress it"),
    "deflated": (dicom_file(VALUES, syntax="1.2.840.10008.1.2.1.99"), "uncompress it"),
    "huge": (dicom_file(VALUES, size=(65535, 65535)), "4,294,836,225 pixels, more than the 1,0"),
    "cut": (dicom_file(VALUES)[:-3], "damaged|ends before its image"),
    "too few pixels": (dicom_file(VALUES, pixels=b"\1\2"), "the file ends before its image does"),
    "none": (dicom_file(VALUES, size=(0, 3)), "damaged"),
    "colour": (dicom_file(VALUES, kind="RGB", samples=3), "in colour.*export it as PNG"),
    "bits": (dicom_file(VALUES, stored=17), "pixels of 17 bits in 16"),
    "no number": (dicom_file(VALUES, RescaleSlope="1e999"), "damaged"),
    "a word": (dicom_file(VALUES, RescaleSlope=PATIENT), "damaged"),
    "header only": (bytes(128) + b"DICM", "damaged"),
    "nothing": (bytes(128) + b"DICM" + bytes(400), "damaged"),
    "noise": (dicom_file(VALUES)[:200] + np.random.default_rng(1).bytes(4000), "DICOM"),
    "nested": (dicom_file(VALUES)[:170] + struct.pack("<HH2sHI", 8, 0x1140, b"SQ", 0, 2**32 - 1)
               + struct.pack("<HHI", 0xFFFE, 0xE000, 2**32 - 1) * 9000, "DICOM"),
}  # fmt: skip


@needs_pydicom
@pytest.mark.parametrize("content", [c for c, _ in BAD.values()], ids=list(BAD))
def test_files_that_are_not_read_are_refused_by_a_sentence_without_patients(content, request):
    says = BAD[request.node.callspec.id][1]
    with pytest.raises(UnreadableImageError, match=says) as caught:
        grey(content)
    assert "Jane-1961" not in str(caught.value)


@needs_pydicom
def test_size_is_read_without_pixels():
    assert read_header(io.BytesIO(dicom_file(VALUES)[:-12])) == ((3, 2), 1)


@needs_pydicom
def test_an_audit_of_dicom_files_holds_no_patient(tmp_path, world_of):
    spec = world_of(tmp_path, "dicom: {window: [100, 201]}")
    record = auditor.run(spec, out=tmp_path / "out", only=("performance/overall", "data/images"))
    assert record.datasets[0].n_sound == 12
    for path in (tmp_path / "out").rglob("*"):
        assert path.is_dir() or b"Jane-1961" not in path.read_bytes(), path


@needs_pydicom
def test_an_undeclared_window_stops_the_audit_with_what_to_say(tmp_path, world_of):
    with pytest.raises(auditor.AuditorError, match=r"say `data.dicom: \{window: \[center, width"):
        auditor.run(world_of(tmp_path, ""), out=tmp_path / "out", only=("data/images",))


def test_without_pydicom_the_refusal_names_the_extra(tmp_path, world_of, monkeypatch):
    monkeypatch.setitem(sys.modules, "pydicom", None)
    with pytest.raises(MissingLibraryError, match=r"pip install 'auditor\[dicom\]'"):
        require_pydicom()
    with pytest.raises(UnreadableImageError, match=r"pip install 'auditor\[dicom\]'"):
        grey(dicom_file(VALUES))
    spec = world_of(tmp_path, "dicom: {window: [100, 201]}")
    with pytest.raises(auditor.AuditorError, match=r"pip install 'auditor\[dicom\]'"):
        auditor.run(spec, out=tmp_path / "out", only=("data/images",))


@pytest.mark.parametrize("window", ["[40, 0]", "[40]", "wide"])
def test_a_window_has_a_center_and_a_width(tmp_path, world_of, window):
    spec = world_of(tmp_path, f"dicom: {{window: {window}}}")
    with pytest.raises(auditor.AuditorError, match="window"):
        auditor.run(spec, out=tmp_path / "out")


def test_dicom_is_told_by_its_mark():
    assert is_dicom(dicom_file(VALUES))
    assert not is_dicom(b"DICM" + bytes(200))


@pytest.fixture
def world_of():
    """An audit of twelve DICOM rooms, red for dark and blue for bright; the spec's path."""
    from coloured_rooms import make_world

    def made(folder, key):
        spec = make_world(folder / "world", sizes=(1, 1, 1))
        rows = ["file,label,room,building"]
        for i in range(12):
            noise = np.random.default_rng(i).integers(0, 90, (16, 16)) + 100 * (i % 2)
            (spec.parent / f"{i}.dcm").write_bytes(dicom_file(noise.astype(np.int16)))
            rows.append(f"{i}.dcm,{('red', 'blue')[i % 2]},r{i},old")
        (spec.parent / "test.csv").write_text("\n".join(rows), encoding="utf-8")
        text = spec.read_text(encoding="utf-8").replace("data:\n", f"data:\n  {key}\n")
        lines = [line for line in text.splitlines() if " train:" not in line]
        lines = [line for line in lines if " deployment:" not in line]
        spec.write_text("\n".join(lines), encoding="utf-8")
        return spec

    return made
