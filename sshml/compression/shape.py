"""How the two sides of a weight are split into sites of a matrix product operator."""

import dataclasses
import functools
import itertools
import math
import numbers

from sshml.arguments import flag, integer, shown
from sshml.errors import SSHMLError

MOST = 2**40
"""Neurons on a side of a layer, at most: their prime factors take a second."""


@dataclasses.dataclass(frozen=True)
class MPOShape:
    """Dimensions of the output and input leg of every site: a weight (out, in) as a tensor (o_1 i_1, ..., o_n i_n).

    out = o_1 o_2 ... o_n and in = i_1 i_2 ... i_n in row-major order, M^{o_1 ... o_n}_{i_1 ... i_n} in the notation
    of Gao et al., Phys. Rev. Research 2, 023300 (2020).

    Args:
        out_dims: integers >= 1, one per site, two sites or more.
        in_dims: as many integers >= 1.
        pad: accept products larger than the layer; what is beyond it holds zeros and is cut off.

    Raises:
        SSHMLError: the dimensions are no integers >= 1, or the two lists differ in length.

    >>> shape = MPOShape((4, 4, 4, 4), (4, 7, 7, 4))
    >>> shape.out_features, shape.in_features, shape.bonds(), shape.n_parameters(4)
    (256, 784, (16, 448, 16), 1024)
    """

    out_dims: tuple
    in_dims: tuple
    pad: bool = False

    def __post_init__(self):
        for name in ("out_dims", "in_dims"):
            dims = getattr(self, name)
            whole = isinstance(dims, (tuple, list)) and all(_is_whole(d) and 1 <= d <= MOST for d in dims)
            if not whole or len(dims) < 2:
                raise SSHMLError(f"{name} {shown(dims)} do not make sites; give two or more integers >= 1: (4, 4, 4).")
            object.__setattr__(self, name, tuple(int(d) for d in dims))
        object.__setattr__(self, "pad", flag(self.pad, "pad"))
        if len(self.out_dims) != len(self.in_dims):
            raise SSHMLError(
                f"out_dims {self.out_dims} and in_dims {self.in_dims} have {len(self.out_dims)} and"
                f" {len(self.in_dims)} sites; give as many of each, 1 where a site has no leg."
            )

    @property
    def sites(self):
        """Number of sites."""
        return len(self.out_dims)

    @property
    def out_features(self):
        """Product of the output dimensions."""
        return math.prod(self.out_dims)

    @property
    def in_features(self):
        """Product of the input dimensions."""
        return math.prod(self.in_dims)

    @property
    def site_dims(self):
        """Dimension o_k i_k of each site."""
        return tuple(o * i for o, i in zip(self.out_dims, self.in_dims, strict=True))

    def bonds(self, max_bond=None):
        """Return the bond dimension at every cut, capped at the exact rank.

        chi_k = min(max_bond, chi_{k-1} o_k i_k, o_{k+1} i_{k+1} chi_{k+1}), the ends being 1.

        Args:
            max_bond: an integer >= 1, one per cut, or None for full bonds.

        Raises:
            SSHMLError: a bond under 1, or not one per cut.
        """
        cuts = self.sites - 1
        wanted = max_bond if isinstance(max_bond, (tuple, list)) else [max_bond] * cuts
        if len(wanted) != cuts or not all(b is None or (_is_whole(b) and b >= 1) for b in wanted):
            raise SSHMLError(
                f"max_bond {shown(max_bond)} does not fit; choose 1 to {max(self.bonds())}, or {cuts} integers, one per"
                " cut."
            )
        wanted = [math.inf if bond is None else int(bond) for bond in wanted]
        dims = self.site_dims
        for k in range(cuts):
            wanted[k] = min(wanted[k], (wanted[k - 1] if k else 1) * dims[k])
        for k in reversed(range(cuts)):
            wanted[k] = min(wanted[k], dims[k + 1] * (wanted[k + 1] if k + 1 < cuts else 1))
        return tuple(wanted)

    def n_parameters(self, max_bond=None):
        """Return the numbers in the cores, sum_k chi_{k-1} o_k i_k chi_k, without bias."""
        bonds = (1, *self.bonds(max_bond), 1)
        return sum(left * d * right for left, d, right in zip(bonds, self.site_dims, bonds[1:], strict=False))

    def check(self, out_features, in_features):
        """Raise where the shape does not fit a layer; the message proposes dimensions that do."""
        for name, dims, features, of in (
            ("out_dims", self.out_dims, out_features, "outputs"),
            ("in_dims", self.in_dims, in_features, "inputs"),
        ):
            product = math.prod(dims)
            if product == features or (self.pad and product > features):
                continue
            remedy = f"choose dims with product {features}, e.g. {balanced(features, len(dims))}"
            padded = _next_smooth(features, len(dims))
            if padded != features:
                remedy += f", or {balanced(padded, len(dims))} with pad=True"
            raise SSHMLError(f"{name} {dims} multiply to {product} but the layer has {features} {of}; {remedy}.")

    @classmethod
    def automatic(cls, out_features, in_features, sites=None, pad=False):
        """Return a balanced shape for a layer.

        Each side is split into near-equal factors, the largest in the middle where bonds can be large. A prime number
        of neurons stays whole at one site, not at that of a prime on the other side, so that a bond is left; with
        `pad` it is padded to a number that splits evenly.

        Args:
            out_features: outputs of the layer.
            in_features: inputs of the layer.
            sites: number of sites; log_4 of the larger side, rounded down, if None (at least 2).
            pad: allow padding, by at most an eighth.

        >>> MPOShape.automatic(256, 784)
        MPOShape(out_dims=(4, 4, 4, 4), in_dims=(4, 7, 7, 4), pad=False)
        """
        out_features = integer(out_features, "out_features", 1, MOST)
        in_features = integer(in_features, "in_features", 1, MOST)
        if sites is None:
            sites = max(2, int(math.log(max(out_features, in_features), 4)))
        sites, pad = integer(sites, "sites", 2, 100), flag(pad, "pad")
        sizes = [_next_smooth(n, sites) if pad else n for n in (out_features, in_features)]
        out_dims, in_dims = (balanced(n, sites) for n in sizes)
        pad = pad and sizes != [out_features, in_features]
        shape = cls(out_dims, in_dims, pad)
        return shape if max(shape.bonds()) > 1 else cls(out_dims[1:] + out_dims[:1], in_dims, pad)


def as_shape(shape, out_features=None, in_features=None):
    """Return an `MPOShape` from one, from (out_dims, in_dims), or the automatic one from None; checked if sized."""
    sizes = {"out_features": out_features, "in_features": in_features}
    if out_features is not None or in_features is not None:
        out_features, in_features = (integer(size, name, 1, MOST) for name, size in sizes.items())
    if shape is None:
        if out_features is None:
            raise SSHMLError("a shape is needed: MPOShape(out_dims, in_dims).")
        return MPOShape.automatic(out_features, in_features)
    if not isinstance(shape, MPOShape):
        if not isinstance(shape, (tuple, list)) or len(shape) not in (2, 3):
            raise SSHMLError(f"shape {shown(shape)} is not understood; give an MPOShape or (out_dims, in_dims).")
        shape = MPOShape(*shape)
    if out_features is not None:
        shape.check(out_features, in_features)
    return shape


@functools.cache
def balanced(number, parts):
    """Return `parts` factors of a number, as equal as its primes allow, rising to the middle.

    >>> balanced(784, 4), balanced(7, 3)
    ((4, 7, 7, 4), (1, 7, 1))
    """
    factors = [1] * parts
    for prime in reversed(_primes(number)):
        factors[factors.index(min(factors))] *= prime
    factors.sort()
    return tuple(factors[::2] + factors[1::2][::-1])


def _primes(number):
    primes, divisor = [], 2
    while divisor * divisor <= number:
        while number % divisor == 0:
            primes.append(divisor)
            number //= divisor
        divisor += 1
    return [*primes, number] if number > 1 else primes


def _next_smooth(number, parts):
    """Return the first of number, number + 1, ... 9/8 number whose factors differ least in size."""
    best = min(range(number, number + number // 8 + 1), key=lambda n: (_unevenness(n, parts), n))
    return best if _unevenness(best, parts) < 0.75 * _unevenness(number, parts) else number


def _unevenness(number, parts):
    return max(balanced(number, parts)) / number ** (1 / parts)


def _is_whole(value):
    return isinstance(value, numbers.Integral) and not isinstance(value, bool)


def groupings(sites):
    """Yield every way to cut a row of sites into runs, as tuples of (first, end).

    >>> list(groupings(2))
    [((0, 2),), ((0, 1), (1, 2))]
    """
    for count in range(sites):
        for cuts in itertools.combinations(range(1, sites), count):
            yield tuple(itertools.pairwise((0, *cuts, sites)))
