from sshml.errors import GapClosedError, SSHMLError


def test_both_are_value_errors():
    assert issubclass(SSHMLError, ValueError)
    assert issubclass(GapClosedError, SSHMLError)
