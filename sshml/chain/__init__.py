"""Physics of SSH chains, always batched: hoppings -> Hamiltonians, eigenstates, gauges, labels."""

from sshml.chain.eigenstates import eigenstates
from sshml.chain.gauge import fix_gauge, random_gauge
from sshml.chain.hamiltonian import as_longer, bloch_hamiltonian, block, dispersion, hamiltonian
from sshml.chain.winding import log_margin, winding_number

__all__ = [
    "as_longer",
    "bloch_hamiltonian",
    "block",
    "dispersion",
    "eigenstates",
    "fix_gauge",
    "hamiltonian",
    "log_margin",
    "random_gauge",
    "winding_number",
]
