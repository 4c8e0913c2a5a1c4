from pathlib import Path

import pytest

from tests.order import LONGEST, spread

HERE = Path(__file__).parent


@pytest.mark.parametrize("name", LONGEST)
def test_each_of_the_longest_modules_is_there(name):
    assert (HERE / name).is_file()


@pytest.mark.parametrize("workers", [1, 2, 4, 7])
def test_each_stretch_begins_with_long_modules_and_nothing_is_lost_or_torn(workers):
    modules = [*(f"some/test_{n}.py" for n in range(40)), *reversed(LONGEST)]
    items = [(module, number) for module in modules for number in range(3)]
    ordered = spread(items, workers, lambda item: item[0])
    assert sorted(ordered) == sorted(items)
    place = {item: number for number, item in enumerate(ordered)}
    assert all(place[name, 0] + 2 == place[name, 1] + 1 == place[name, 2] for name in LONGEST)
    for module in modules:
        numbers = [number for name, number in ordered if name == module]
        assert numbers == sorted(numbers)
    begin = 0
    for number in range(workers):
        assert ordered[begin] == (LONGEST[number], 0)
        begin += (len(items) - begin) // (workers - number)


def test_few_tests_are_all_kept():
    items = [(name, n) for name in LONGEST for n in range(5)]
    assert sorted(spread([*items, ("x", 0)], 4, lambda item: item[0])) == sorted([*items, ("x", 0)])
