import numpy as np
import pytest
from scipy.integrate import quad

from sshml.chain import LAWS, log_margin, mean_log
from sshml.chain.laws import FAR, check_power
from sshml.errors import SSHMLError

POINTS = [(0.5, 1.0), (0.0, 1.0), (2.0, 0.3), (-1.2, 3.0), (1.0, 0.0)]
VARIANTS = [("uniform", {}), ("normal", {}), ("multiplicative", {}), ("binary", {"probability": 0.3})]
VARIANTS += [("quasiperiodic", {"power": power}) for power in (1, 2, 3, 4)]


@pytest.mark.parametrize(("x", "strength"), POINTS)
@pytest.mark.parametrize(("name", "given"), VARIANTS)
def test_mean_log_is_that_of_what_is_drawn(name, given, x, strength):
    """On 200 000 bonds drawn evenly over [0, 1), or on as many bonds of one quasi-periodic chain."""
    if (name, x, strength) in (("multiplicative", 0.0, 1.0), ("binary", 0.5, 1.0)):
        assert mean_log(name, x, strength, **given) == -np.inf  # a bond that is 0
        return
    u = ((np.arange(200_000) + 0.5) / 200_000)[None]
    law = LAWS[name]
    bonds = law.draw(np.array([[x]]), np.array([[strength]]), u, **law.parameters | given)
    assert mean_log(name, x, strength, **given) == pytest.approx(np.log(np.abs(bonds)).mean(), abs=2e-4)


@pytest.mark.parametrize(("centre", "width"), [(1.0, 0.5), (0.3, 2.0), (-1.2, 0.7), (0.0, 4.0), (2.0, 0.0)])
def test_uniform_mean_is_the_integral(centre, width):
    expected = np.log(abs(centre)) if width == 0 else None
    if width:
        low, high = centre - width / 2, centre + width / 2
        points = [0.0] if low < 0 < high else None
        expected = quad(lambda x: np.log(abs(x)), low, high, points=points)[0] / width
    assert mean_log("uniform", centre, width) == pytest.approx(expected, abs=1e-7)


@pytest.mark.parametrize("d", [0.1, 1.0, 5.0, FAR - 1e-9, FAR + 1e-9])
def test_normal_mean_is_the_integral(d):
    def integrand(g):
        return np.exp(-g * g / 2) / np.sqrt(2 * np.pi) * np.log(max(abs(g + d), 1e-300))

    expected = sum(quad(integrand, *ends, limit=1000, epsabs=1e-11)[0] for ends in ((-40, -d), (-d, 0), (0, 40)))
    assert mean_log("normal", d, 1.0) == pytest.approx(expected, abs=1e-9)


def test_of_zero_means_only_the_widths_decide(rng):
    """Mean ln|g| = ln W - (gamma + ln 2)/2: nu = 1 where sigma_w > sigma_v, critical where they are equal."""
    assert mean_log("normal", 0.0, 0.7) == pytest.approx(np.log(0.7) - (np.euler_gamma + np.log(2)) / 2, abs=1e-14)
    assert mean_log("normal", 0.0, 1.0) == mean_log("normal", -0.0, 1.0)
    v, w = rng.normal(size=(400, 500)), rng.normal(size=(400, 499))
    for ratio, expected in ((0.7, 0), (1.4, 1)):
        assert ((log_margin(v, ratio * w) > 0) == expected).mean() > 0.99
    assert 0.4 < (log_margin(v, w) > 0).mean() < 0.6


@pytest.mark.parametrize(("x", "strength"), [(2.0, 1.0), (1.0, 2.0), (-0.3, 0.4), (1.0, 1.0)])
def test_jensens_formula(x, strength):
    """Aubry-Andre: ln((|x| + (x^2 - W^2)^(1/2))/2) outside, ln(W/2) inside |x| <= W."""
    inside = abs(x) <= strength
    expected = np.log(strength / 2) if inside else np.log((abs(x) + np.sqrt(x * x - strength * strength)) / 2)
    assert mean_log("quasiperiodic", x, strength) == pytest.approx(expected, abs=1e-12)
    assert mean_log("quasiperiodic", x, strength, beta=0.1) == mean_log("quasiperiodic", x, strength)


def test_even_powers_shift_the_mean():
    """x + W cos^2 = (x + W/2) + (W/2) cos of twice the angle."""
    assert mean_log("quasiperiodic", 0.4, 1.1, power=2) == pytest.approx(
        mean_log("quasiperiodic", 0.4 + 0.55, 0.55), abs=1e-12
    )


def test_broadcasting():
    found = mean_log("quasiperiodic", np.array([0.5, 1.0]), np.array([[0.1], [2.0]]), power=np.array([[1], [3]]))
    assert found.shape == (2, 2)
    assert found[1, 0] == mean_log("quasiperiodic", 0.5, 2.0, power=3)
    with pytest.raises(SSHMLError, match="broadcast"):
        mean_log("uniform", np.ones(2), np.ones(3))


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: mean_log("cauchy", 1.0, 1.0), "law"),
        (lambda: mean_log("uniform", 1.0, 1.0, beta=0.5), "no parameter beta"),
        (lambda: mean_log("quasiperiodic", 1.0, 1.0, power=1.5), "whole number"),
        (lambda: mean_log("normal", np.nan, 1.0), "NaN"),
        (lambda: check_power(0), "power"),
        (lambda: check_power(21), "power"),
    ],
)
def test_bad_input(call, words):
    with pytest.raises(SSHMLError, match=words):
        call()


def test_far_out_quasiperiodic_is_clean():
    assert mean_log("quasiperiodic", 1.0, 1e-200, power=3) == pytest.approx(0.0, abs=1e-14)


@pytest.mark.parametrize("width", [1e-9, 4e-6, 1e-3, 0.0099, 0.0101, 0.1])
def test_narrow_uniform_laws_keep_their_digits(width):
    """ln x + mean ln(1 + r u) = ln x - sum_k r^(2k)/(2k (2k + 1) 4^k), to all digits."""
    ratio = width / 3.0
    series = -sum(ratio ** (2 * k) / (2 * k * (2 * k + 1) * 4**k) for k in range(1, 12))
    assert mean_log("uniform", 3.0, width) == pytest.approx(np.log(3.0) + series, rel=1e-13, abs=1e-13)
    assert mean_log("uniform", 1.0, width / 3) == pytest.approx(series, rel=1e-6, abs=1e-16)


@pytest.mark.parametrize("probability", [-0.1, 2.0])
def test_a_probability_out_of_range(probability):
    with pytest.raises(SSHMLError, match="probability"):
        mean_log("binary", 1.0, 1.0, probability=probability)
