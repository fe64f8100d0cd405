"""Laws of disorder: how a hopping varies from bond to bond, and the exact mean of ln|x| of an infinite chain.

The one place where a law is added: an entry of LAWS with a function that makes the bonds from uniform random numbers,
and one with its mean of ln|x|, from which the phase of the infinite chain follows: nu = 1 where that of w exceeds that
of v.
"""

import dataclasses
import typing

import numpy as np

from sshml.arguments import as_array, choice, real
from sshml.errors import SSHMLError

GOLDEN = (5**0.5 - 1) / 2


@dataclasses.dataclass(frozen=True)
class Law:
    """A law of disorder of strength W around a clean hopping x, from numbers u uniform on [0, 1), r = u - 1/2.

    Attributes:
        formula: what a bond is, for people.
        draw: draw(x, W, u, **parameters), x, W and parameters of shape (chain, 1), u (chain, bond).
        mean_log: mean_log(x, W, **parameters), elementwise: the mean of ln|bond| of an infinite chain.
        parameters: names of its parameters beside W, with their values where none is given.
    """

    formula: str
    draw: typing.Callable
    mean_log: typing.Callable
    parameters: dict = dataclasses.field(default_factory=dict)


def _log(x):
    with np.errstate(divide="ignore"):
        return np.log(np.abs(x))


def _uniform_mean(x, strength):
    """Return [F(x + W/2) - F(x - W/2)]/W, F(x) = x ln|x| - x; of small r = W/x its series ln|x| - r^2/24 - r^4/320."""

    def antiderivative(at):
        return np.where(at == 0, 0.0, at * np.log(np.where(at == 0, 1.0, np.abs(at))) - at)

    with np.errstate(divide="ignore", invalid="ignore"):
        smooth = (antiderivative(x + strength / 2) - antiderivative(x - strength / 2)) / strength
        narrow = np.abs(strength) <= 1e-2 * np.abs(x)
        square = np.where(narrow & (x != 0), strength / np.where(x == 0, 1.0, x), 0.0) ** 2
    return np.where(narrow, _log(x) - square / 24 - square**2 / 320, smooth)


def _normal(x, strength, u):
    from scipy.special import ndtri

    return x + strength * ndtri(u + 2.0**-54)  # the numbers are multiples of 2^-53: never 0 or 1


MIXED = np.arange(240)
"""Terms of the mixture for d = x/W up to FAR: weights of Poisson with mean d^2/2."""

FAR = 12.0
"""x/W from which on the asymptotic series has more digits than float64."""


def _normal_mean(x, strength):
    """Return ln W + E ln|g + d|, d = x/W.

    (g + d)^2 is a Poisson mixture of chi-square of 1 + 2 j degrees of freedom, so that E ln|g + d| =
    (ln 2 + sum_j Poisson(j; d^2/2) psi(j + 1/2))/2; -(gamma + ln 2)/2 for d = 0. Far out, ln d - sum_k (2k - 1)!!/(2k
    d^(2k)).
    """
    from scipy.special import digamma, gammaln, xlogy

    with np.errstate(divide="ignore", invalid="ignore"):
        d = np.abs(np.where(strength == 0, np.inf, x / strength))
    half = 0.5 * np.minimum(d, FAR)[..., None] ** 2
    mixture = np.exp(xlogy(MIXED, half) - half - gammaln(MIXED + 1.0)) @ digamma(MIXED + 0.5)
    inverse, series, term = 1 / np.maximum(d, FAR) ** 2, 0.0, 1.0
    for k in range(1, 12):
        term = term * (2 * k - 1) * inverse
        series = series - term / (2 * k)
    return np.where(d <= FAR, _log(strength) + 0.5 * (np.log(2) + mixture), _log(x) + series)


def _binary(x, strength, u, probability):
    return x + strength * np.where(u < probability, 0.5, -0.5)


def _binary_mean(x, strength, probability):
    up, down = probability * _log(x + strength / 2), (1 - probability) * _log(x - strength / 2)
    return np.where(probability == 0, 0.0, up) + np.where(probability == 1, 0.0, down)


def _quasiperiodic(x, strength, u, beta, power):
    n = np.arange(1, u.shape[1] + 1)
    return x + strength * np.cos(2 * np.pi * (beta * n + u[:, :1])) ** power


def _quasiperiodic_mean(x, strength, beta, power):
    """Return the mean of ln|x + W cos^p| over a period, by Jensen's formula.

    With the zeros t of x + W t^p: ln|W| + sum_t (ln max|t +- (t^2 - 1)^(1/2)| - ln 2).
    """
    shape = np.broadcast_shapes(np.shape(x), np.shape(strength), np.shape(power))
    x, strength, power = (np.broadcast_to(a, shape) for a in (x, strength, power))
    found = np.empty(shape)
    for p in np.unique(power):
        mine = power == p
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = -x[mine] / strength[mine]
        clean = ~np.isfinite(ratio) | (np.abs(ratio) > 1e100)
        unit = np.exp(2j * np.pi * np.arange(int(p)) / p)
        t = np.where(clean, 0.0, ratio).astype(complex)[..., None] ** (1 / p) * unit
        root = np.sqrt(t * t - 1)
        over = np.log(np.maximum(np.abs(t + root), np.abs(t - root)) / 2).sum(-1)
        found[mine] = np.where(clean, _log(x[mine]), _log(np.where(clean, 1.0, strength[mine])) + over)
    return found


LAWS = {
    "uniform": Law("x + W r", lambda x, strength, u: x + strength * 1.0 * (u - 0.5), _uniform_mean),
    "normal": Law("x + W g, g standard normal", _normal, _normal_mean),
    "multiplicative": Law(
        "x (1 + W r)",
        lambda x, strength, u: x + strength * x * (u - 0.5),
        lambda x, strength: _log(x) + _uniform_mean(np.ones(np.shape(strength)), strength),
    ),
    "binary": Law(
        "x + W/2 with a probability, else x - W/2", _binary, _binary_mean, {"probability": 0.5}
    ),
    "quasiperiodic": Law(
        "x + W cos(2 pi (beta n + u_1))^power, n = 1, 2, ...",
        _quasiperiodic,
        _quasiperiodic_mean,
        {"beta": GOLDEN, "power": 1},
    ),
}  # fmt: skip
"""The laws by name."""


def mean_log(law, clean, strength, **parameters):
    """Return the mean of ln|x| over the bonds of an infinite chain.

    Its difference for w and v is the inverse localisation length at zero energy, and its sign the phase
    (Mondragon-Shem et al., PRL 113, 046802 (2014)). Uniform: [F(x + W/2) - F(x - W/2)]/W with F(x) = x ln|x| - x.
    Normal with x = 0: ln W - (gamma + ln 2)/2, so that of two such hoppings the wider wins (Mondal and Agarwala, arXiv
    2506.19913). Quasi-periodic, for irrational beta: Jensen's formula (as Niu, Liu and Xu, arXiv 2605.00543).

    Args:
        law: a name of LAWS.
        clean: clean hopping x.
        strength: strength W of the disorder, broadcast against x.
        **parameters: those of the law, as `probability` of the binary and `power` of the quasi-periodic one.

    Returns:
        float64 array.

    Raises:
        SSHMLError: an unknown law or parameter, one out of its range, NaN or infinite numbers, shapes that do not go
            together.

    >>> round(float(mean_log("uniform", 0.0, 2.0)), 6)
    -1.0
    """
    law = LAWS[choice(law, "law", tuple(LAWS))]
    unknown = set(parameters) - set(law.parameters)
    if unknown:
        raise SSHMLError(f"the law has no parameter {', '.join(sorted(unknown))}; it has {sorted(law.parameters)}.")
    for power in np.unique(as_array(parameters.get("power", 1), "power", finite=True)):
        check_power(power)
    for share in np.unique(as_array(parameters.get("probability", 0), "probability", finite=True)):
        real(share, "probability", 0, 1)
    named = {"clean": clean, "strength": strength, **law.parameters, **parameters}
    arrays = [as_array(x, name, dtype=np.float64, finite=True) for name, x in named.items()]
    try:
        clean, strength, *given = np.broadcast_arrays(*arrays)
    except ValueError:
        shapes = ", ".join(f"{name} {x.shape}" for name, x in zip(named, arrays, strict=True))
        raise SSHMLError(f"{shapes} cannot be broadcast against each other; give equal shapes or numbers.") from None
    return np.asarray(law.mean_log(clean, strength, **dict(zip(law.parameters, given, strict=True))))


def check_power(power):
    """Return the power of the quasi-periodic law as an int from 1 to 20, or raise."""
    found = real(power, "power", 1, 20)
    if found != int(found):
        raise SSHMLError(
            f"power is {found:g}; expected a whole number from 1 to 20, as negative cosines have no other."
        )
    return int(found)
