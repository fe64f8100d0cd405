"""Datasets on the command line."""

import functools
import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from sshml.dataset import check, open_dataset


def test_check_and_info(call, folder):
    code, out, _ = call(folder, "check", "chains.h5")
    assert code == 0
    assert "valid, 300 + 50 + 100 chains of 8 sites" in out
    code, out, _ = call(folder, "info", "chains.h5")
    assert code == 0
    for words in ("label from the signs alone", "distance of test chains", "disorder_v", "0.2"):
        assert words in out


def test_generate_in_every_way(call, tmp_path):
    sizes = ("--cells", 4, "--train", 30, "--valid", 5, "--test", 5)
    longer = ("--j3", "-1:1", "--j4", "0:1", "--boundary", "periodic", "--law", "normal", "--disorder-j4", 0.1)
    for name, options in (("s.h5", ("--shard-size", 12, "--workers", 2)), ("r.h5", ("--recipe",)), ("l.h5", longer)):
        code, out, _ = call(tmp_path, "generate", name, *sizes, *options)
        assert code == 0
        assert ("in 5 shards" in out) == (name == "s.h5")
        assert call(tmp_path, "check", name)[0] == 0
        code, out, _ = call(tmp_path, "export", name, name + ".csv")
        assert code == 0
        assert "40 chains" in out
    code, out, _ = call(tmp_path, "info", "l.h5")
    assert code == 0
    assert "-1: 0." in out
    fit = ("--hidden", "4", "--seeds", 2, "--epochs", 1)
    assert call(tmp_path, "train", "l.h5", "l-run.h5", *fit)[0] == 0
    assert call(tmp_path, "train", "s.h5", "s-run.h5", *fit, "--stream", "--view", "abs")[0] == 0
    code, _, err = call(tmp_path, "select", "l-run.h5", "l.h5")
    assert code == 2
    assert "longer range" in err


@pytest.mark.parametrize(("name", "code"), [("SIGINT", 130), ("SIGTERM", 143)])
def test_an_interrupted_command_leaves_nothing(tmp_path, name, code):
    command = [sys.executable, "-c", "from sshml.cli import main; main()", "generate", "x.h5", "--train", "5000000"]
    default = functools.partial(signal.signal, getattr(signal, name), signal.SIG_DFL)  # a background shell ignores it
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    process = subprocess.Popen(command, cwd=tmp_path, preexec_fn=default, **pipes)
    for _ in range(600):
        if list(tmp_path.iterdir()):  # the temporary file is there: the work is under way
            break
        time.sleep(0.05)
    process.send_signal(getattr(signal, name))
    process.communicate(timeout=60)
    assert process.returncode == code
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(os.name != "posix", reason="needs a limit on file sizes")
def test_a_failed_write_is_one_line(sshml, tmp_path):
    def limit():
        import resource

        resource.setrlimit(resource.RLIMIT_FSIZE, (2**20, 2**20))

    found = sshml("generate", "x.h5", "--train", 4000, folder=tmp_path, preexec_fn=limit)
    assert found.returncode == 2
    assert "could not be written: file too large" in found.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(os.name != "posix" or os.getuid() == 0, reason="root may write anywhere")
def test_a_read_only_folder(sshml, tmp_path):
    tmp_path.chmod(0o500)
    found = sshml("generate", "x.h5", "--train", 10, "--valid", 1, "--test", 1, folder=tmp_path)
    assert found.returncode == 2
    assert "permission denied" in found.stderr


def test_show(call, folder, tmp_path):
    figure = tmp_path / "chains.png"
    code, out, _ = call(folder, "show", "chains.h5", "--out", figure, "--count", 5, "--json")
    rows = json.loads(out)
    assert code == 0
    assert len(rows) == 5
    psi = open_dataset(folder / "chains.h5").test.read("states", slice(5))
    shares = (psi[:, 4, [0, 1, 6, 7]] ** 2).sum(1)
    np.testing.assert_allclose([row["share in the end cells"] for row in rows], shares, rtol=1e-6)
    assert figure.stat().st_size > 5000
    assert call(folder, "show", "chains.h5", "--out", figure)[0] == 2  # it exists
    assert call(folder, "show", "chains.h5", "--out", tmp_path / "c.png", "--split", "all")[0] == 2
    own = tmp_path / "data.png"
    own.write_bytes((folder / "chains.h5").read_bytes())
    assert call(folder, "show", own, "--out", own, "--force")[0] == 2  # what is read is never replaced
    assert own.read_bytes() == (folder / "chains.h5").read_bytes()


SIZES = ("--train", 60, "--valid", 5, "--test", 40)


def test_other_chains(call, tmp_path):
    """Ranges, laws, on-site energies and half a cell; maps of a diagram; a table that comes back as hoppings."""
    options = ("--law", "quasiperiodic", "--power", 2, "--beta", "0.4:0.6", "--correlated", "--half-cell")
    code, out, _ = call(
        tmp_path,
        "generate",
        "a.h5",
        "--cells",
        4,
        "--v",
        "0:2",
        "--disorder-v",
        "0:4",
        "--onsite",
        "0:1",
        *options,
        *SIZES,
    )
    assert code == 0
    assert "60 + 5 + 40 chains of 9 sites" in out
    spec = check(tmp_path / "a.h5").spec
    assert (spec.power, spec.correlated, spec.half_cell, str(spec.beta)) == (2, True, True, "0.4:0.6")
    code, out, _ = call(tmp_path, "info", "a.h5", "--json")
    rows = {row["quantity"]: row["value"] for row in json.loads(out)}
    assert rows["disorder_v"] == "0:4"
    assert rows["disorder_w"] == 0
    shares = [value for name, value in rows.items() if name.startswith("share of topological chains, disorder_v")]
    assert len(shares) == 4
    assert all(0 <= share <= 1 for share in shares)
    assert 0.3 < rows["label from one number, half gap (test)"]["accuracy"] <= 1
    assert call(tmp_path, "show", "a.h5", "--out", "a.png")[0] == 0


def test_the_smallest_energy_is_that_of_any_level(call, tmp_path):
    """On-site energies move the levels, the middle ones too."""
    assert call(tmp_path, "generate", "a.h5", "--cells", 3, "--disorder-onsite", 3, *SIZES)[0] == 0
    code, out, _ = call(tmp_path, "show", "a.h5", "--out", "a.png", "--count", 4, "--json")
    assert code == 0
    energies = open_dataset(tmp_path / "a.h5").test.read("energies", slice(4))
    assert [row["smallest |E|"] for row in json.loads(out)] == pytest.approx(abs(energies).min(1).tolist())
    assert (abs(energies).min(1) < energies[:, 3]).any()


def test_hoppings_of_a_file(call, tmp_path):
    assert call(tmp_path, "generate", "a.h5", "--cells", 3, "--disorder-v", 0.5, *SIZES)[0] == 0
    assert call(tmp_path, "export", "a.h5", "a.csv")[0] == 0
    code, out, _ = call(tmp_path, "generate", "b.h5", "--hoppings", "a.csv", "--gauge", "fixed", "--recipe")
    assert code == 0
    assert "60 + 5 + 40 chains of 6 sites" in out
    a, b = (check(tmp_path / f"{name}.h5") for name in "ab")
    np.testing.assert_array_equal(a.test.read("v"), b.test.read("v"))
    np.testing.assert_array_equal(a.test.read("winding"), b.test.read("winding"))
    assert b.spec.gauge == "fixed"
    assert b.recipe
    code, out, _ = call(tmp_path, "info", "b.h5")
    assert code == 0
    assert "v, w" in out
    np.savez(tmp_path / "c.npz", v=a.train.read("v"), w=a.train.read("w"))
    for options, words in (
        (("--hoppings", "a.csv", "--cells", 3), "--cells has no meaning beside --hoppings"),
        (("--hoppings", "a.csv", "--test", 3), "--test is 3 but a.csv has 40 rows"),
        (("--hoppings", "c.npz"), "60 chains were given; train + valid + test = 28000"),
        (("--hoppings", "c.h5"), "does not exist"),
        (("--v", "1", "--w", "1", "--disorder-v", "0:1:3"), "same clean chains"),
        (("--hoppings", "d.h5"), "is named twice"),
    ):
        code, _, err = call(tmp_path, "generate", "d.h5", *options)
        assert (code, err.count("\n")) == (2, 1)
        assert words in err
    assert call(tmp_path, "generate", "d.h5", "--hoppings", "c.npz", "--train", 50, "--valid", 5, "--test", 5)[0] == 0
    assert open_dataset(tmp_path / "d.h5").spec.kinds == ("v", "w")
