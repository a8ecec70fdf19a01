"""How the tests of the referee count their own errors.

Every test here raises a false alarm with probability at most `FALSE_ALARM`.
"""

from __future__ import annotations

from scipy.stats import binom

FALSE_ALARM = 1e-6
REPEATS = 200
MOST_ALARMS = int(binom.isf(FALSE_ALARM, REPEATS, 0.05))
"""More false alarms than this in 200 repeats, and they come more often than once in twenty."""
