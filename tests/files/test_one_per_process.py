"""One object for all threads of a process, used by one of them at a time."""

import threading

from deblur_zoo.files.one_per_process import OnePerProcess


def test_an_object_is_made_once_for_its_arguments():
    made = []
    shared = OnePerProcess(lambda name: made.append(name) or [name], kept=1)
    with shared.use("a") as first:
        pass
    with shared.use("a") as second:
        assert second is first and made == ["a"]
    with shared.use("b") as other:
        assert other == ["b"]
    # Only the last is kept.
    with shared.use("a") as again:
        assert again is not first and made == ["a", "b", "a"]


def test_one_thread_at_a_time_even_for_other_arguments():
    shared, events, entered = OnePerProcess(str, kept=2), [], threading.Event()

    def use():
        with shared.use("b"):
            events.append("second")
            entered.set()

    other = threading.Thread(target=use)
    with shared.use("a"):
        other.start()
        assert not entered.wait(0.2)
        events.append("first")
    other.join(timeout=10)
    assert events == ["first", "second"]


def test_it_is_free_again_after_an_error():
    shared = OnePerProcess(int)
    for _ in range(2):
        try:
            with shared.use("x"):
                raise AssertionError("not reached")
        except ValueError:
            pass
    with shared.use("3") as number:
        assert number == 3
