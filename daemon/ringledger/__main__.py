"""`python -m ringledger`: the same as the command `ringledger`."""

import sys

from ringledger.cli import main

if __name__ == "__main__":
    sys.exit(main())
