"""The scheduler: the same as ``gazet run``, for those who start things with Python.

    python scheduler.py --site news             run until Ctrl-C or SIGTERM
    python scheduler.py --site news --once      what is due now, then end (for cron)

What it runs, and in which order, stands in ``pipeline/engines/local.py``.
"""

import sys

from pipeline.cli import main

if __name__ == "__main__":
    sys.argv[1:1] = ["run"]
    main()
