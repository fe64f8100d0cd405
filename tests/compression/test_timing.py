import time

from sshml.compression.timing import compare


def test_the_longer_call_takes_longer():
    short, long = compare([lambda: None, lambda: time.sleep(0.01)], repeats=3)
    assert 0 < short < long
    assert long >= 0.01
