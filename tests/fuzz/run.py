"""A long round: `python -m tests.fuzz.run --rounds 1000000`, or `make fuzz ROUNDS=1000000`.

An input that fails is kept in ``tests/fuzz/corpus``, where every later run of the suite tries it again.
"""

import argparse
import hashlib
import random
import resource
import sys
import time
import traceback
from pathlib import Path

from tests.fuzz.mutate import mutated
from tests.fuzz.targets import SHARES, TARGETS, Target

CORPUS = Path(__file__).parent / "corpus"
#: Processor seconds one input may take, of at most a few hundred kilobytes.
LONGEST_SECONDS = 2.0


def attempt(target: Target, data: bytes) -> None:
    """Raise what the target raises, and if it took too long."""
    began = time.process_time()
    target(data)
    took = time.process_time() - began
    assert took < LONGEST_SECONDS, f"{took:.1f} s for {len(data)} bytes"


def rounds_of(rounds: int) -> dict[str, int]:
    """How many rounds each target gets."""
    whole = sum(SHARES.get(name, 3) for name in TARGETS)
    return {name: max(1, rounds * SHARES.get(name, 3) // whole) for name in TARGETS}


def fuzz(name: str, rounds: int, seed: int) -> list[bytes]:
    """The inputs that failed, of so many."""
    target, seeds = TARGETS[name]
    dice = random.Random(f"{name}-{seed}")
    failed: list[bytes] = []
    for _ in range(rounds):
        data = mutated(seeds, dice)
        try:
            attempt(target, data)
        except Exception:
            traceback.print_exc(limit=-3)
            failed.append(data)
            if len(failed) > 20:
                break
    return failed


def keep(name: str, data: bytes) -> Path:
    """Put an input into the corpus."""
    path = CORPUS / name / hashlib.sha256(data).hexdigest()[:16]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def main() -> int:
    """Run the rounds; 1 if any failed."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    options = parser.parse_args()
    found = 0
    print(f"seed {options.seed}")
    for name, rounds in rounds_of(options.rounds).items():
        began, before = time.monotonic(), _peak()
        failed = fuzz(name, rounds, options.seed)
        for data in failed:
            print("kept", keep(name, data))
        found += len(failed)
        seconds = time.monotonic() - began
        print(
            f"{name}: {rounds} inputs, {len(failed)} failed, {seconds:.0f} s, {_peak() - before} MiB more", flush=True
        )
    print(f"peak {_peak()} MiB")
    return int(found > 0)


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


if __name__ == "__main__":
    sys.exit(main())
