"""CSV files, streamed: every column as text, for the schema to read."""

from __future__ import annotations

import codecs
import csv
import gzip
import io
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, BinaryIO, cast

import pyarrow as pa
import pyarrow.csv

from mezzotint.errors import DataError
from mezzotint.sources.source import checked_columns

DELIMITERS = (",", ";", "\t", "|")
_BLOCK = 1 << 20
# What a packed file raises that is damaged, each at another place.
_BROKEN = (OSError, EOFError, zlib.error)
_MARKS = {
    codecs.BOM_UTF8: "utf-8",
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}


class CsvSource:
    """A text file with a header and one row per line.

    Quotes may hold delimiters and line breaks. A byte order mark names the encoding.
    """

    def __init__(
        self,
        path: Path,
        delimiter: str | None = None,
        encoding: str = "utf-8",
        name: str | None = None,
    ) -> None:
        self._path = path
        self.files = (path,)
        self.name = name or str(path)
        self.encoding = "utf-8"
        self.delimiter = delimiter or DELIMITERS[0]
        self.encoding = self._checked_encoding(encoding)
        header, rows = self._header()
        self.delimiter = delimiter or max(DELIMITERS, key=header.count)
        fields = next(csv.reader([header], delimiter=self.delimiter), [])
        self.columns = checked_columns(fields, self.name)
        self.packed = list(self.columns)
        if not rows:
            raise DataError(
                f"{path}: the file has a header and no rows; give a table with at least one row"
            )

    def _checked_encoding(self, encoding: str) -> str:
        with self._raw() as file:
            try:
                head = file.read(4)
            except _BROKEN as error:
                raise self._diagnosis(error) from None
        for mark, named in _MARKS.items():
            if head.startswith(mark):
                return named
        try:
            return codecs.lookup(encoding).name
        except LookupError:
            raise DataError(
                f"encoding {encoding!r} is unknown; give utf-8, latin-1, cp1252, utf-16, ..."
            ) from None

    def _raw(self) -> BinaryIO:
        try:
            if self._path.suffix.lower() == ".gz":
                return cast("BinaryIO", gzip.open(self._path, "rb"))
            return self._path.open("rb")
        except OSError as error:
            raise DataError(f"{self._path}: cannot be opened ({error.strerror})") from None

    def _text(self) -> IO[str]:
        encoding = "utf-8-sig" if self.encoding == "utf-8" else self.encoding
        return io.TextIOWrapper(self._raw(), encoding, newline="")

    def _header(self) -> tuple[str, bool]:
        """The first record, as text, and whether anything follows it."""
        with self._text() as file:
            try:
                header = file.readline()
                while header.count('"') % 2 and (more := file.readline()):
                    header += more
                rest = file.read(1 << 12)
            except (UnicodeError, *_BROKEN) as error:
                raise self._diagnosis(error) from None
        if not header.strip():
            raise DataError(
                f"{self._path}: the file is empty, or does not begin with a header; give a CSV "
                "file whose first line names the columns"
            )
        return header.rstrip("\r\n"), bool(rest.strip("\r\n") or len(rest) == 1 << 12)

    def batches(self, columns: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
        """The rows, every column as a dictionary of texts; nothing is read as missing yet."""
        chosen = list(columns or self.columns)
        text = pa.dictionary(pa.int32(), pa.string())
        # Nothing here may depend on what the texts look like: no inference, no null words.
        convert = pyarrow.csv.ConvertOptions(
            column_types=dict.fromkeys(self.columns, text), include_columns=chosen, null_values=[]
        )
        parse = pyarrow.csv.ParseOptions(
            delimiter=self.delimiter,
            newlines_in_values=True,
            ignore_empty_lines=len(self.columns) > 1,
        )
        read = pyarrow.csv.ReadOptions(
            use_threads=False,
            block_size=max(_BLOCK, 64 * len(self.columns) * 64),
            encoding=self.encoding,
        )
        try:
            with self._stream() as stream:
                yield from pyarrow.csv.open_csv(
                    stream, read_options=read, parse_options=parse, convert_options=convert
                )
        except (pa.ArrowInvalid, UnicodeError, *_BROKEN) as error:
            raise self._diagnosis(error) from None

    def _stream(self) -> pa.NativeFile:
        if self._path.suffix.lower() == ".gz":
            return pa.input_stream(str(self._path), compression="gzip")
        return pa.input_stream(str(self._path), compression=None)

    def _diagnosis(self, error: Exception) -> DataError:
        """The first line that breaks a rule, found by reading once more, slowly."""
        line = 0
        try:
            with self._text() as file:
                reader = csv.reader(file, delimiter=self.delimiter)
                width = 0
                for row in reader:
                    width = width or len(row)
                    if row and len(row) != width:
                        return DataError(
                            f"{self._path}, line {line + 1}: the row has {len(row)} fields where "
                            f"the header has {width}; mend the line (quote a field that holds "
                            f"{self.delimiter!r}), or give the delimiter"
                        )
                    line = reader.line_num
        except UnicodeError:
            return self._wrong_encoding()
        except (csv.Error, *_BROKEN) as trouble:
            return DataError(f"{self._path}, after line {line}: {trouble}; give a whole CSV file")
        return DataError(f"{self._path}: cannot be read as CSV ({error}); mend the file")

    def _wrong_encoding(self) -> DataError:
        line = 0
        decoder = codecs.getincrementaldecoder(self.encoding)()
        with self._raw() as file:
            for line, raw in enumerate(file, 1):  # noqa: B007
                try:
                    decoder.decode(raw)
                except UnicodeError:
                    break
        return DataError(
            f"{self._path}, line {line}: not {self.encoding} text; give the file's encoding "
            "(often cp1252 or latin-1), or save it as UTF-8"
        )

    def like(self, table: pa.Table) -> pa.Table:
        """A pyarrow table: for files there is no family in memory."""
        return table
