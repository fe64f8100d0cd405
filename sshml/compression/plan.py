"""What to do where: pure data that prints, goes through JSON and can be edited before it is applied."""

import dataclasses
import json

from sshml.arguments import choice, flag, instance, integer, real, shown
from sshml.compression.forms import METHODS
from sshml.errors import SSHMLError, flat
from sshml.tables import aligned

FORMAT = "sshml-plan"


@dataclasses.dataclass(frozen=True)
class Choice:
    """One site in one form.

    `method` is "svd", "mpo", "prune", "blocks" or "dense", `size` the arguments of the form: {"rank": 8}. `numbers`,
    `bytes` and `flops` (per sample; without data per position or row) are stored and needed then, `loss` is
    ||(W - W') X||^2 / ||W X||^2 on the data of the plan, or ||W - W'||^2 / ||W||^2 without data; None where nobody has
    worked them out, as after an edit.
    """

    method: str
    size: dict
    numbers: int | None = None
    bytes: int | None = None
    flops: int | None = None
    loss: float | None = None


@dataclasses.dataclass
class Plan:
    """Choices for the sites of a model, {name: `Choice`}; what they do not name stays dense.

    Args:
        choices: {name of the site: `Choice`}.
        reasons: {path: why it cannot be compressed}.
        n_bytes: of the whole model then, as predicted; None after an edit.
        dense_bytes: of the whole model now.
        error: relative error of the outputs on the data, as measured when the plan was made; None without data.
        data_aware: whether the losses are those on data, and the forms must be cut with them too.
        absorb_bias: whether the biases of layers in SVD form are absorbed in their matrices.
        shrink: whether kept singular values are shrunk.
        notes: what the planner has to say.
    """

    choices: dict
    reasons: dict = dataclasses.field(default_factory=dict)
    n_bytes: int | None = None
    dense_bytes: int | None = None
    error: float | None = None
    data_aware: bool = False
    absorb_bias: bool = False
    shrink: bool = False
    notes: list = dataclasses.field(default_factory=list)
    menu: object = dataclasses.field(default=None, repr=False, compare=False)
    """What the plan was made from, with the decompositions; not part of the data."""

    def with_choice(self, site, method, **size):
        """Return a plan with another choice for one site.

        Args:
            site: its name.
            method: "svd", "mpo", "prune", "blocks" or "dense".
            **size: arguments of the form, as rank=12.

        Raises:
            SSHMLError: the plan knows no such site.
        """
        if not isinstance(site, str) or site not in self.choices:
            raise SSHMLError(f"the plan has no site {shown(site)}; it has {', '.join(self.choices) or 'none'}.")
        choice(method, "method", (*METHODS, "dense"))
        new = dataclasses.replace(self, choices=self.choices | {site: Choice(method, size)}, n_bytes=None, error=None)
        new.check()
        return new

    def check(self):
        """Raise where the plan holds something of another kind than it should."""
        instance(self.choices, "the plan's choices", dict, "{site: choice}")
        for name in ("data_aware", "absorb_bias", "shrink"):
            flag(getattr(self, name), f"{name} of the plan")
        for name in ("n_bytes", "dense_bytes"):
            if getattr(self, name) is not None:
                integer(getattr(self, name), f"{name} of the plan", 0)
        if self.error is not None:
            real(self.error, "error of the plan", 0, infinite=True)
        for name, found in self.choices.items():
            if not isinstance(found, Choice) or not isinstance(found.method, str) or not isinstance(found.size, dict):
                raise SSHMLError(f"the choice of {name!r} is {shown(found)}; expected a method and a size like rank 8.")
            for size in ("rank", "keep"):
                if size in found.size:
                    integer(found.size[size], f"{size} of {name!r}", 1)
            for size in ("numbers", "bytes", "flops"):
                if getattr(found, size) is not None:
                    integer(getattr(found, size), f"{size} of {name!r}", 0)
            if found.loss is not None:
                real(found.loss, f"loss of {name!r}")
        kinds = {"reasons": dict, "notes": list}
        for name, kind in kinds.items():
            value = getattr(self, name)
            if value is not None and not isinstance(value, kind):
                raise SSHMLError(f"{name} of the plan is {shown(value)}; expected another kind of value.")

    def rows(self):
        """Return a row for each site, and for each module that stays dense with the reason, for a table."""
        chosen = [{"site": name} | dataclasses.asdict(choice) for name, choice in self.choices.items()]
        return chosen + [{"site": path, "method": "dense", "reason": why} for path, why in (self.reasons or {}).items()]

    def __str__(self):
        rows = [
            (
                row["site"],
                row["method"],
                *(_cell(row.get(name)) for name in ("size", "numbers", "bytes", "loss", "reason")),
            )
            for row in self.rows()
        ]
        text = aligned(("site", "method", "size", "numbers", "bytes", "loss", "kept dense because"), rows)
        if self.n_bytes is not None and self.dense_bytes:
            share = self.n_bytes / self.dense_bytes
            text += f"whole model: {self.dense_bytes} -> {self.n_bytes} bytes, {share:.2%}\n"
        if self.error is not None:
            text += f"relative error of the outputs on the data: {self.error:.3g}\n"
        return text + "".join(f"note: {note}\n" for note in self.notes or ())

    def to_json(self):
        """Return the plan as a JSON text, from which `from_json` makes an equal one."""
        data = {field.name: getattr(self, field.name) for field in dataclasses.fields(self) if field.name != "menu"}
        data["choices"] = {name: dataclasses.asdict(choice) for name, choice in self.choices.items()}
        return json.dumps({"format": FORMAT, "version": 1} | data, indent=1, default=lambda number: number.item())

    @classmethod
    def from_json(cls, text):
        """Return the plan of a JSON text; a choice needs a method and a size only.

        Raises:
            SSHMLError: not a plan.
        """
        instance(text, "the plan", (str, bytes), "a JSON text")
        try:
            data = json.loads(text)
            if data.pop("format") != FORMAT or data.pop("version") != 1:
                raise SSHMLError(f"the text is no {FORMAT} of version 1.")
            if "menu" in data:
                raise SSHMLError("the text is no plan: a menu is no part of it.")
            data["choices"] = {name: Choice(**choice) for name, choice in data["choices"].items()}
            found = cls(**data)
            found.check()
            return found
        except SSHMLError:
            raise
        except (AttributeError, KeyError, TypeError, ValueError, RecursionError) as error:
            raise SSHMLError(f"the text is no plan: {flat(error)}.") from None


def _cell(value):
    if isinstance(value, dict):
        return ", ".join(f"{name} {_list(item)}" for name, item in value.items())
    return "" if value is None else f"{value:.3g}" if isinstance(value, float) else str(value)


def _list(value):
    if isinstance(value, list):
        return ":".join(map(_list, value)) if value and isinstance(value[0], list) else ",".join(map(str, value))
    return str(value)
