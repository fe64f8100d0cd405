"""`python -m sshml.cli` is `sshml`."""

from sshml.cli import main

if __name__ == "__main__":
    main()
