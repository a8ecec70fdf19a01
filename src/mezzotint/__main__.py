"""``python -m mezzotint`` is the command line."""

import sys

from mezzotint.cli import main

sys.exit(main())
