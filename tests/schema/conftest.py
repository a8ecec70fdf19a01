"""Where the example tables are, if they are there."""

from pathlib import Path

import pytest

DATA = Path(__file__).parents[3] / "shared" / "data" / "tabular"


@pytest.fixture
def example():
    """Path of an example table; the test is skipped where the tables are not at hand."""

    def path(name: str) -> Path:
        file = DATA / name
        if not file.exists():
            pytest.skip(f"{name} is not at hand")
        return file

    return path
