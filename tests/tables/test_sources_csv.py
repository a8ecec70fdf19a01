"""CSV files as they come, and as they go."""

import csv
import gzip
import os

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mezzotint.errors import DataError
from mezzotint.sources import open_source, write_table


def read(path, **options):
    source = open_source(path, **options)
    batches = [b.to_pydict() for b in source.batches()]
    return {c: [v for b in batches for v in b[c]] for c in source.columns}


def written(tmp_path, content: bytes, name: str = "table.csv"):
    path = tmp_path / name
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_delimiter_is_found_in_the_header(tmp_path, delimiter):
    text = f"a{delimiter}b b{delimiter}c\n1{delimiter}x,y;z{delimiter}\n"
    if delimiter in ",;":
        text = text.replace("x,y;z", '"x,y;z"')
    assert read(written(tmp_path, text.encode())) == {"a": ["1"], "b b": ["x,y;z"], "c": [""]}


def test_the_delimiter_can_be_given(tmp_path):
    path = written(tmp_path, b"a,b:c\n1,2:3\n")
    assert read(path, delimiter=":") == {"a,b": ["1,2"], "c": ["3"]}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_byte_order_marks_name_the_encoding(tmp_path, encoding):
    path = written(tmp_path, "größe,b\nß,2\n".encode(encoding))
    assert read(path) == {"größe": ["ß"], "b": ["2"]}


def test_other_encodings_can_be_given(tmp_path):
    path = written(tmp_path, "größe\nß\n".encode("cp1252"))
    assert read(path, encoding="cp1252") == {"größe": ["ß"]}
    with pytest.raises(DataError, match=r"encoding 'utf9' is unknown"):
        read(path, encoding="utf9")


def test_texts_are_taken_as_they_are(tmp_path):
    content = b'a,b\r\n"line\nbreak",NA\r\n"quo""te",\r\n007,"null"\r\n'
    assert read(written(tmp_path, content)) == {
        "a": ["line\nbreak", 'quo"te', "007"],
        "b": ["NA", "", "null"],
    }


def test_quoted_headers_with_breaks_and_commas(tmp_path):
    assert read(written(tmp_path, b'"a\nb","c,d"\n1,2\n')) == {"a\nb": ["1"], "c,d": ["2"]}


def test_a_single_column_keeps_its_empty_lines(tmp_path):
    assert read(written(tmp_path, b"a\n1\n\n2\n")) == {"a": ["1", "", "2"]}


def test_no_final_line_break_and_one_row(tmp_path):
    assert read(written(tmp_path, b"a,b\n1,2")) == {"a": ["1"], "b": ["2"]}


def test_gzip_is_read_and_written(tmp_path):
    path = tmp_path / "t.csv.gz"
    write_table(pa.table({"a": ["x", 'y"']}), path)
    assert gzip.decompress(path.read_bytes()) == b'a\nx\n"y"""\n'
    assert read(path) == {"a": ["x", 'y"']}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"\n\n", "is empty"),
        (b"a,b\n", "has a header and no rows"),
        (b"a,b", "has a header and no rows"),
        (b"a,b\n\n", "has a header and no rows"),
        (b"a,b,a\n1,2,3\n", r"'a' stands twice \(columns 1, 3\); rename one"),
        (b"a,b\n1,2\n3\n", "line 3: the row has 1 fields where the header has 2; mend the line"),
        (b"a,b\n1,2\n3,4,5\n", "line 3: the row has 3 fields"),
        (b'a,b\n"x\ny",2\n3,4,5\n', "line 4: the row has 3 fields"),
        (b"a,b\n1,2\n3,\xff\n", "line 3: not utf-8 text; give the file's encoding"),
        (b"\xe4,b\n1,2\n", "line 1: not utf-8 text"),
    ],
)
def test_a_broken_file_gets_one_error_with_its_line(tmp_path, content, message):
    path = written(tmp_path, content)
    with pytest.raises(DataError, match=message) as caught:
        read(path)
    assert str(path) in str(caught.value)


def test_errors_far_into_a_file_name_the_line(tmp_path):
    rows = b"".join(b"%d,x\n" % i for i in range(400_000))
    with pytest.raises(DataError, match=r"line 400002: the row has 1 fields"):
        read(written(tmp_path, b"a,b\n" + rows + b"oops\n"))


def test_a_truncated_gzip_file_is_an_error(tmp_path):
    packed = gzip.compress(b"a,b\n" + os.urandom(1 << 16).hex().encode() + b",2\n")
    with pytest.raises(DataError, match=r"give a whole CSV file|cannot be read"):
        read(written(tmp_path, packed[: len(packed) // 2], "t.csv.gz"))
    with pytest.raises(DataError, match=r"give a whole CSV file|cannot be read"):
        read(written(tmp_path, b"this is not gzip", "u.csv.gz"))


def test_messages_hold_no_values_of_the_rows(tmp_path):
    with pytest.raises(DataError) as caught:
        read(written(tmp_path, b"a,b\nsecret\n"))
    assert "secret" not in str(caught.value)


def test_ten_thousand_columns(tmp_path):
    names = [f"column{i}" for i in range(10_000)]
    row = ",".join("12345678" for _ in names)
    path = written(tmp_path, (",".join(names) + "\n" + f"{row}\n" * 20).encode())
    table = read(path)
    assert len(table) == 10_000 and table["column9999"] == ["12345678"] * 20


@given(
    st.lists(
        st.tuples(st.text(st.characters(codec="utf-8")), st.text('x,;" \n\r')),
        min_size=1,
    )
)
def test_what_is_written_reads_the_same_with_any_csv_reader(tmp_path_factory, rows):
    path = tmp_path_factory.mktemp("csv") / "t.csv"
    rows = [(a.replace("\r", ""), b.replace("\r", "")) for a, b in rows]
    table = {"a": [a for a, _ in rows], 'b"': [b for _, b in rows]}
    write_table(pa.table(table), path)
    with path.open(newline="", encoding="utf-8") as file:
        assert list(csv.reader(file)) == [["a", 'b"'], *map(list, rows)]
    assert read(path) == table


def test_writing_is_all_or_nothing(tmp_path, monkeypatch):
    path = written(tmp_path, b"what was there\n")
    table = pa.table({"a": ["1"]})

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(DataError, match=r"No space left on device.*nothing was left there"):
        write_table(table, path)
    assert path.read_bytes() == b"what was there\n"
    assert list(tmp_path.iterdir()) == [path]
    with pytest.raises(DataError, match=r"cannot be written"):
        write_table(table, tmp_path / "no" / "folder.csv")
