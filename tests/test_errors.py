from sshml.errors import GapClosedError, SSHMLError


def test_both_are_value_errors():
    assert issubclass(SSHMLError, ValueError)
    assert issubclass(GapClosedError, SSHMLError)


def test_memory_errors_are_known_by_what_they_say():
    from sshml.errors import is_out_of_memory

    assert is_out_of_memory(MemoryError())
    assert is_out_of_memory(RuntimeError("CUDA out of memory. Tried to allocate 2 GiB"))
    assert is_out_of_memory(RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried"))
    assert not is_out_of_memory(RuntimeError("shapes differ"))
