"""``python -m rnnext``: the console script `rnnext`."""

import sys

from rnnext.app.cli import main

if __name__ == "__main__":
    sys.exit(main())
