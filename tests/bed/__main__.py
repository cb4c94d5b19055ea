"""`python -m tests.bed sweep` removes what dead beds left; `fetch` gets engines, `images` builds images and bundles."""

import sys

from tests.bed import bundles, debian, engines
from tests.bed.leftovers import sweep


def main(arguments: list[str]) -> int:
    match arguments:
        case ["sweep"]:
            for ident in sweep():
                print(f"removed what bed {ident} left")
        case ["fetch", *named]:
            for version in named or engines.default_versions():
                print(f"engine {version}: {engines.find(version).dockerd}")
        case ["images"]:
            print(f"engine bundles: {bundles.all_bundles()}")
            print(f"console: {debian.debian_tar()}")
        case _:
            print(__doc__)
            return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
