"""Errors a user can mend: what was got, what was expected, what to do."""


class SSHMLError(ValueError):
    """Report wrong input in one line that names the parameter or path and the remedy."""


class GapClosedError(SSHMLError):
    """Refuse to label a chain whose gap is closed, where the winding number is undefined."""
