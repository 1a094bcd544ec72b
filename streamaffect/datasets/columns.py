"""A table's columns by name, of a CSV or a Parquet file, read by pyarrow."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from streamaffect.datasets.files import first_line, package
from streamaffect.errors import DatasetError, UsageError
from streamaffect.signals import Float64

_DELIMITERS = ",;\t"


@dataclass(frozen=True, slots=True)
class Table:
    """``names`` in the file's order, none twice."""

    path: Path
    names: tuple[str, ...]
    arrow: Any

    def is_number(self, name: str) -> bool:
        types = package("pyarrow", "tables").types
        type_ = self.arrow[name].type
        return bool(types.is_integer(type_) or types.is_floating(type_) or types.is_decimal(type_))

    def numbers(self, name: str) -> Float64:
        """(n,), NaN where empty. Raises DatasetError where something else stands there."""
        column = self.arrow[name]
        types = package("pyarrow", "tables").types
        if types.is_null(column.type):
            return np.full(len(column), np.nan)
        if types.is_timestamp(column.type) or types.is_duration(column.type):
            kind = "timedelta64[ns]" if types.is_duration(column.type) else "datetime64[ns]"
            times = np.asarray(column.to_numpy()).astype(kind)
            return np.where(np.isnat(times), np.nan, times.astype(np.int64) / 1e9)
        if not self.is_number(name):
            odd = next((value for value in self.texts(name) if value and not _number(value)), "text")
            raise DatasetError(f"{self.path}: column {name!r} must hold numbers, but holds {odd[:40]!r}")
        return np.asarray(column.to_numpy(), np.float64)

    def texts(self, name: str) -> list[str]:
        """(n,), '' where empty."""
        return ["" if value is None else str(value) for value in self.arrow[name].to_pylist()]


def read_table(path: Path) -> Table:
    """Raises DatasetError for what is no table, or one with a column twice."""
    try:
        arrow = _csv(path) if path.suffix.lower() == ".csv" else _parquet(path)
    except UsageError:  # pyarrow is not there
        raise
    except (ValueError, OSError) as error:  # pyarrow's own are of these two kinds
        raise DatasetError(f"{path}: not a whole table of its kind ({first_line(error)})") from error
    names = tuple(str(name) for name in arrow.column_names)
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise DatasetError(f"{path}: has two columns {twice!r}: rename one")
    if not len(arrow):
        raise DatasetError(f"{path}: holds no rows")
    return Table(path, names, arrow)


def _csv(path: Path) -> Any:
    reader = package("pyarrow.csv", "CSV tables")
    with path.open(encoding="utf-8-sig", errors="replace", newline="") as file:
        head, second = file.readline(), file.readline()
    if "\0" in head:
        raise ValueError("it is binary")
    delimiter = max(_DELIMITERS, key=head.count)
    row = next(csv.reader([second], delimiter=delimiter), [])
    point = "," if delimiter != "," and any("," in cell and _number(cell.replace(",", ".")) for cell in row) else "."
    strings = reader.ConvertOptions(decimal_point=point, strings_can_be_null=True, null_values=["", "NaN", "nan", "NA", "null"])
    return reader.read_csv(path, parse_options=reader.ParseOptions(delimiter=delimiter), convert_options=strings)


def _parquet(path: Path) -> Any:
    return package("pyarrow.parquet", "Parquet tables").read_table(path)


def _number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
