"""Compressing and exporting on the command line."""

import json
import os

import numpy as np
import pytest
import torch

from sshml.classifier import load_run
from sshml.compression import LAYERS, n_bytes


def test_compress(call, folder, tmp_path):
    mpo = ("--max-bond", 2, "--shape", "2,2,2:4,4,4")
    for method, size, parameters in (
        ("svd", ("--rank", 2), 8 * 2 + 64 * 2),
        ("prune", ("--keep", 30), 30),
        ("mpo", mpo, 8 * 2 + 2 * 8 * 2 + 2 * 8),
        ("blocks", ("--rank", 3, "--blocks", 8), 3 * (8 + 8)),
    ):
        out = tmp_path / f"{method}.h5"
        code, text, _ = call(folder, "compress", "run.h5", out, "--method", method, *size, "--data", "chains.h5")
        assert code == 0
        assert f"566 -> {566 - 512 + parameters} parameters" in text
        assert "test accuracy" in text
        # a compressed run is a run: its next layer can be swept
        code, _, _ = call(folder, "sweep", out, "chains.h5", "--layer", 1, "--out", tmp_path / f"{method}.csv")
        assert code == 0


NETS = """
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.wide, self.head = nn.Conv2d(1, 8, 3, padding=1), nn.Linear(8 * 36, 24), nn.Linear(24, 3)

    def forward(self, x):
        return self.head(self.wide(self.conv(x).relu().flatten(1)).relu())


def text():
    return "no module"
"""


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    """A folder with a network of another make as state dict and as program, and data for it."""
    made = tmp_path_factory.mktemp("shop")
    (made / "nets.py").write_text(NETS)
    space = {}
    exec(compile(NETS, "nets.py", "exec"), space)
    torch.manual_seed(0)
    model, x = space["Net"]().eval(), torch.randn(60, 1, 6, 6)
    torch.save(model.state_dict(), made / "net.pt")
    program = torch.export.export(model, (x[:3],), dynamic_shapes=({0: torch.export.Dim("n")},))
    torch.export.save(program, made / "net.pt2")
    np.save(made / "x.npy", x.numpy())
    np.savez(made / "data.npz", x=x.numpy(), y=model(x).argmax(1).numpy())
    (made / "list.json").write_text("[]")
    return made


FACTORY = ("--factory", "nets:Net")


@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_networks_of_other_makes(call, shop, tmp_path):
    for source, out, options in (
        ("net.pt", "a.h5", FACTORY),
        ("net.pt", "a.safetensors", FACTORY),
        ("net.pt2", "a.pt2", ()),
        ("net.pt", "a.onnx", FACTORY),
    ):
        code, text, err = call(shop, "compress", source, tmp_path / out, "--share", 0.3, "--data", "data.npz", *options)
        assert code == 0, err
        assert "accuracy 1.0000 ->" in text
        assert (tmp_path / out).stat().st_size > 0
    code, text, _ = call(shop, "compress", tmp_path / "a.h5", tmp_path / "b.h5", "--share", 0.5, *FACTORY)
    assert code == 2  # nothing is left to be compressed
    code, text, _ = call(
        shop,
        "compress",
        "net.pt",
        tmp_path / "c.h5",
        "--layer",
        "wide",
        "--rank",
        3,
        *FACTORY,
        "--data",
        "x.npy",
        "--json",
    )
    assert code == 0
    found = json.loads(text)
    assert found["rows"][1]["size"] == "rank 3"
    assert found["totals"]["bytes"] < found["totals"]["bytes_before"]


@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_a_plan_is_written_edited_and_applied(call, shop, tmp_path):
    plan = tmp_path / "plan.json"
    options = ("--data", "x.npy", *FACTORY)
    code, text, _ = call(shop, "compress", "net.pt", plan, "--share", 0.3, "--only-plan", *options)
    assert code == 0
    assert "whole model" in text
    edited = json.loads(plan.read_text())
    edited["choices"]["wide"] = {"method": "svd", "size": {"rank": 2}}
    plan.write_text(json.dumps(edited))
    code, text, _ = call(shop, "compress", "net.pt", tmp_path / "d.h5", "--plan", plan, *options)
    assert code == 0
    assert "rank 2" in text


def test_a_run_within_a_budget(call, folder, tmp_path):
    code, text, _ = call(folder, "compress", "run.h5", tmp_path / "s.h5", "--share", 0.5, "--data", "chains.h5")
    assert code == 0
    assert "test accuracy" in text
    run = load_run(tmp_path / "s.h5", layers=LAYERS)
    assert n_bytes(run.model()) <= 0.5 * n_bytes(load_run(folder / "run.h5").model())
    for name in ("s.pt2", "s.onnx"):
        code, text, _ = call(folder, "export", tmp_path / "s.h5", tmp_path / name, "--member", 1)
        assert code == 0
        assert "bytes" in text


WRONG = {
    "several goals": (("--share", 0.5, "--rank", 2), "got several"),
    "no goal": ((), "got none"),
    "share": (("--share", 2, *FACTORY), "share is 2"),
    "no factory": (("--share", 0.5), "--factory"),
    "factory": (("--share", 0.5, "--factory", "nets"), "MODULE:FUNCTION"),
    "no such module": (("--share", 0.5, "--factory", "nowhere:Net"), "cannot be imported"),
    "no such function": (("--share", 0.5, "--factory", "nets:Not"), "cannot be imported"),
    "no module made": (("--share", 0.5, "--factory", "nets:text"), "returns a str"),
    "tolerance without data": (("--tolerance", 0.1, *FACTORY), "needs data"),
    "labels alone": (("--share", 0.5, "--labels", "x.npy", *FACTORY), "beside --data"),
    "no such data": (("--share", 0.5, "--data", "none.npy", *FACTORY), "none.npy"),
    "data of another kind": (("--share", 0.5, "--data", "net.pt", *FACTORY), "cannot be read"),
    "no plan": (("--plan", "list.json", *FACTORY), "no plan"),
    "no such plan": (("--plan", "none.json", *FACTORY), "none.json"),
    "methods": (("--share", 0.5, "--methods", "svd,jpeg", *FACTORY), "choose of"),
    "layers": (("--share", 0.5, "--layers", "conv9", *FACTORY), "conv9"),
    "no plan of a size": (("--rank", 2, "--only-plan", *FACTORY), "--only-plan goes with"),
}


@pytest.mark.parametrize("case", WRONG)
def test_bad_input_is_one_line(call, shop, tmp_path, case):
    options, words = WRONG[case]
    code, _, err = call(shop, "compress", "net.pt", tmp_path / "x.h5", *options)
    assert code == 2
    assert words in err
    assert err.strip().splitlines()[-1].startswith("sshml: ")
    assert not list(tmp_path.iterdir())


def test_endings_and_names(call, shop, tmp_path):
    for arguments, words in (
        (("compress", "net.pt", tmp_path / "x.txt", "--share", 0.9, *FACTORY), "known ending"),
        (("compress", "net.pt", "net.pt", "--share", 0.9, *FACTORY, "--force"), "named twice"),
        (("compress", "none.pt", tmp_path / "x.h5", "--share", 0.9, *FACTORY), "does not exist"),
        (("export", "net.pt", tmp_path / "x.onnx", *FACTORY), "give --data"),
        (("compress", "net.pt", tmp_path / "x.onnx", "--share", 0.9, *FACTORY), "give --data"),
    ):
        code, _, err = call(shop, *arguments)
        assert code == 2
        assert words in err
    assert not list(tmp_path.iterdir())


class Command:
    def __reduce__(self):
        return os.mkdir, ("executed",)


@pytest.mark.parametrize("name", ["x.npy", "x.npz"])
def test_arrays_are_not_unpickled(call, shop, tmp_path, name):
    os.link(shop / "net.pt2", tmp_path / "net.pt2")
    objects = np.array([Command()], dtype=object)
    if name == "x.npy":
        np.save(tmp_path / name, objects)
    else:
        np.savez(tmp_path / name, x=objects)
    code, _, err = call(tmp_path, "compress", "net.pt2", "o.h5", "--share", 0.5, "--data", name)
    assert (code, err.count("\n")) == (2, 1)
    assert f"{name} cannot be read" in err
    assert not (tmp_path / "executed").exists()


def test_the_labels_of_an_archive_give_way_to_others(call, shop, tmp_path):
    """--labels beside an archive with x and y: the accuracies of the report are those on the labels asked for."""
    with np.load(shop / "data.npz") as data:
        y = data["y"]
    np.save(tmp_path / "wrong.npy", (y + 1) % 3)
    found = []
    for number, labels in enumerate([(), ("--labels", tmp_path / "wrong.npy")]):
        arguments = ("net.pt2", tmp_path / f"o{number}.h5", "--share", 0.9, "--data", "data.npz", *labels, "--json")
        code, out, err = call(shop, "compress", *arguments)
        assert code == 0, err
        totals = json.loads(out)["totals"]
        found.append(next(value for name, value in totals.items() if "accuracy" in name))
    assert found[0] != found[1]
