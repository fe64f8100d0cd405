"""Physics of SSH chains, always batched: hoppings -> Hamiltonians, eigenstates, gauges, labels."""

from sshml.chain.critical import critical_states
from sshml.chain.eigenstates import eigenstates
from sshml.chain.gauge import GAUGES, apply_gauge, fix_gauge, fixed_signs, random_gauge
from sshml.chain.hamiltonian import (
    BOUNDARIES,
    as_hoppings,
    as_longer,
    as_onsite,
    bloch_hamiltonian,
    block,
    dispersion,
    hamiltonian,
)
from sshml.chain.inverse import hoppings_of_state, hoppings_of_states, state_condition
from sshml.chain.laws import LAWS, check_power, mean_log
from sshml.chain.markers import (
    decay_length,
    edge_dipole,
    inverse_participation_ratio,
    local_chiral_marker,
    localisation_length,
    real_space_winding,
)
from sshml.chain.streams import uniforms
from sshml.chain.winding import label, log_margin, winding_number

__all__ = [
    "BOUNDARIES",
    "GAUGES",
    "LAWS",
    "apply_gauge",
    "as_hoppings",
    "as_longer",
    "as_onsite",
    "bloch_hamiltonian",
    "block",
    "check_power",
    "critical_states",
    "decay_length",
    "dispersion",
    "edge_dipole",
    "eigenstates",
    "fix_gauge",
    "fixed_signs",
    "hamiltonian",
    "hoppings_of_state",
    "hoppings_of_states",
    "inverse_participation_ratio",
    "label",
    "local_chiral_marker",
    "localisation_length",
    "log_margin",
    "mean_log",
    "random_gauge",
    "real_space_winding",
    "state_condition",
    "uniforms",
    "winding_number",
]
