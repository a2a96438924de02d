"""The command `lifestream`. Nothing heavy may be imported here at module level.

The process that parses documents is started anew with this module as its `__main__`; what is imported here, it
pays for (a test keeps it so).
"""

import sys


def main() -> None:
    from lifestream.cli import run

    sys.exit(run())


if __name__ == "__main__":
    main()
