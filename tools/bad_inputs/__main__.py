"""python tools/bad_inputs: see __init__.py."""
import argparse
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
import bad_inputs  # noqa: E402
from viewneti import cli  # noqa: E402


def main():
    parser = argparse.ArgumentParser(description=bad_inputs.__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("words", nargs="*", metavar="WORD", help="only kinds and cases whose name holds one of these")
    parser.add_argument("--list", action="store_true", help="show every case and its message")
    parser.add_argument("--every", type=int, default=1, metavar="N", help="take every Nth case")
    parser.add_argument("--jobs", type=int, default=len(os.sched_getaffinity(0))
                        if hasattr(os, "sched_getaffinity") else os.cpu_count(), metavar="N")
    args = parser.parse_args()
    cases = bad_inputs.run(args.words, args.every, args.jobs)
    for c in cases:
        if args.list or c.outcome == "other":
            print(f"{c.outcome:8} {c.kind.name}: {c.name} ({c.seconds:.1f} s)\n         {c.message}")
    print(cli.table([[name, *row.values()] for name, row in bad_inputs.count(cases).items()],
                    ["kind", "tried", "refused clearly", "read", "other"]))
    sys.exit(any(c.outcome == "other" for c in cases))


if __name__ == "__main__": main()
