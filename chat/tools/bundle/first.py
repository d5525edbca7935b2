"""`__main__` of a bundle. It is written so that every Python that somebody may have can read it."""

import importlib
import sys

# Only here can an older version be told in one line: the next module is not even syntax to it.
if sys.version_info < (3, 11):  # noqa: UP036
    sys.exit("Parlour needs Python 3.11 or newer; this is Python " + sys.version.split()[0] + ".")

if __name__ == "__main__":
    importlib.import_module("launch").main()
