"""Physics of SSH chains, always batched: hoppings -> Hamiltonians, eigenstates, gauges, labels."""

from sshml.chain.eigenstates import eigenstates
from sshml.chain.gauge import GAUGES, apply_gauge, fix_gauge, fixed_signs, random_gauge
from sshml.chain.hamiltonian import BOUNDARIES, as_longer, bloch_hamiltonian, block, dispersion, hamiltonian
from sshml.chain.streams import uniforms
from sshml.chain.winding import label, log_margin, winding_number

__all__ = [
    "BOUNDARIES",
    "GAUGES",
    "apply_gauge",
    "as_longer",
    "bloch_hamiltonian",
    "block",
    "dispersion",
    "eigenstates",
    "fix_gauge",
    "fixed_signs",
    "hamiltonian",
    "label",
    "log_margin",
    "random_gauge",
    "uniforms",
    "winding_number",
]
