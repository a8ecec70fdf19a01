"""Python examples in the documents run, and print what the documents show.

All ``python`` blocks of a document are run in order, in one namespace and one empty directory. A
``text`` block right behind one holds what it prints, compared up to numbers and line breaks, for
noise is never the same twice. `MEZZOTINT_REWRITE_DOCS=1 pytest tests/docs` writes the present
output into the documents. Commands (``console`` blocks) are run by `tests/cli/test_docs.py`.
"""

from __future__ import annotations

import doctest
import os
import re
from contextlib import redirect_stdout
from io import StringIO

import pytest

import mezzotint
import mezzotint.demo
from tests.cli.test_docs import DOCUMENTS, ROOT, normal

PYTHON = re.compile(r"^```python\n(.*?)^```\n(?:```text\n(.*?)^```\n)?", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"(?:\]\(|(?:src|href)=\")(?!https?:|#)([^)#\"]+)")
WITH_PYTHON = [path for path in DOCUMENTS if PYTHON.search(path.read_text())]


@pytest.mark.parametrize("document", WITH_PYTHON, ids=lambda path: path.name)
def test_python_blocks_print_what_is_shown(document, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MEZZOTINT_LEDGER", raising=False)
    text = told = document.read_text()
    names = {"__name__": "__main__"}
    for block in PYTHON.finditer(text):
        code, shown = block.groups()
        line = text[: block.start()].count("\n") + 1
        printed = StringIO()
        with redirect_stdout(printed):
            exec(compile("\n" * line + code, str(document), "exec"), names)
        if "MEZZOTINT_REWRITE_DOCS" in os.environ:
            lines = f"```text\n{printed.getvalue()}```\n" if printed.getvalue() else ""
            told = told.replace(block[0], f"```python\n{code}```\n{lines}")
        else:
            assert normal(printed.getvalue()) == normal(shown or ""), f"{document.name}:{line}"
    if told != text:
        document.write_text(told)


@pytest.mark.parametrize("module", [mezzotint, mezzotint.demo], ids=lambda m: m.__name__)
def test_examples_in_docstrings(module):
    outcome = doctest.testmod(module)
    assert outcome.attempted > 0
    assert outcome.failed == 0


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(document):
    for target in LINK.findall(document.read_text()):
        assert (document.parent / target).exists(), f"{document.name}: {target}"


def test_the_map_of_the_house_is_true():
    """Every room that the README draws is there, and every room there is drawn."""
    readme = (ROOT / "README.md").read_text()
    (drawn,) = re.findall(r"^src/mezzotint/\n((?:  .*\n)+)", readme, re.MULTILINE)
    rooms = {line.split()[0] for line in drawn.splitlines() if re.match(r"  \S", line)}
    package = ROOT / "src" / "mezzotint"
    there = {p.name + "/" for p in package.iterdir() if (p / "__init__.py").exists()}
    there |= {p.name for p in package.glob("*.py") if not p.name.startswith("__")}
    assert rooms == there


def test_figures_in_the_readme_are_those_of_the_benchmarks():
    """`python bench/tables.py --render` writes both; nobody writes figures by hand."""
    readme = (ROOT / "README.md").read_text()
    (table,) = re.findall(r"<!-- table: peers -->\n(.*?)\n<!-- end -->", readme, re.DOTALL)
    measured = [_cells(line) for line in (ROOT / "docs" / "benchmarks.md").read_text().splitlines()]
    rows = [_cells(line) for line in table.splitlines()[2:]]
    assert len(rows) > 5
    for row in rows:
        assert any(set(row) <= set(line) for line in measured), row


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("|").split("|")]
