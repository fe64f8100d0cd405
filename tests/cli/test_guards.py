"""Bad input is one line, exit code 2, and leaves nothing."""

import pytest

BAD = {
    "reversed range": (("generate", "x.h5", "--v", "1:0"), "reversed"),
    "no cells": (("generate", "x.h5", "--cells", "0"), "cells is 0"),
    "empty split": (("generate", "x.h5", "--test", "0"), "test is 0"),
    "NaN hopping": (("generate", "x.h5", "--w", "nan"), "expected a number"),
    "a grid of 10^12": (("generate", "x.h5", "--v", "0:1:1000000000000"), "from 0 to 10000000"),
    "equal hoppings": (("generate", "x.h5", "--v", "1", "--w", "1"), "single chain"),
    "closed gap": (("generate", "x.h5", "--v", "1", "--w", "1", "--disorder-w", "1e-300"), "closed gap"),
    "unknown gauge": (("generate", "x.h5", "--gauge", "coulomb"), "choose one of fixed, random"),
    "unknown view": (("train", "chains.h5", "x.h5", "--view", "x-ray"), "states, abs, density, projector"),
    "unknown method": (("sweep", "run.h5", "chains.h5", "--method", "jpeg", "--out", "x.csv"), "svd, mpo, prune"),
    "no number": (("generate", "x.h5", "--cells", "many"), "--cells"),
    "unknown option": (("generate", "x.h5", "--colour", "red"), "--colour"),
    "unknown command": (("paint",), "paint"),
    "existing file": (("generate", "chains.h5"), "--force"),
    "run as data": (("train", "run.h5", "x.h5"), "expected a sshml-dataset file"),
    "data as run": (("sweep", "chains.h5", "chains.h5", "--out", "x.csv"), "expected a sshml-run file"),
    "missing file": (("check", "nowhere.h5"), "does not exist"),
    "text file": (("check", "notes.txt"), "not an HDF5 file"),
    "rank 0": (("compress", "run.h5", "x.h5", "--rank", "0"), "from 1 to 8"),
    "rank too large": (("compress", "run.h5", "x.h5", "--rank", "9"), "from 1 to 8"),
    "no rank": (("compress", "run.h5", "x.h5"), "--rank"),
    "layer": (("compress", "run.h5", "x.h5", "--rank", "1", "--layer", "7"), "0 (1), 1 (3), 2 (5)"),
    "hidden": (("train", "chains.h5", "x.h5", "--hidden", "many"), "--hidden"),
    "no seeds": (("train", "chains.h5", "x.h5", "--seeds", "0"), "seeds"),
    "device": (("train", "chains.h5", "x.h5", "--device", "abacus"), "auto, cpu or cuda"),
    "activation": (("train", "chains.h5", "x.h5", "--activation", "sin"), "relu, tanh, sigmoid"),
    "flip abs": (("train", "chains.h5", "x.h5", "--view", "abs", "--flip-signs"), "no meaning"),
    "figure format": (("select", "run.h5", "chains.h5", "--out", "x.docx"), "figure format"),
    "other chains": (("sweep", "run.h5", "long.h5", "--out", "x.csv"), "trained on 8 sites"),
    "output is input": (("train", "chains.h5", "chains.h5", "--force"), "named twice"),
    "plot is table": (("sweep", "run.h5", "chains.h5", "--out", "x.png", "--plot", "x.png"), "named twice"),
    "layer in words": (("sweep", "run.h5", "chains.h5", "--out", "x.csv", "--layer", "--5"), "not a linear layer"),
    "data of another size": (("compress", "run.h5", "x.h5", "--rank", "2", "--data", "long.h5"), "trained on 8"),
    "other device": (("train", "chains.h5", "x.h5", "--device", "mps"), "auto, cpu or cuda"),
    "law": (("generate", "x.h5", "--law", "levy"), "choose one of uniform, normal, multiplicative"),
    "no label": (("generate", "x.h5", "--j3", "0:1", "--disorder-v", "1"), "boundary='periodic'"),
    "disorder of nothing": (("generate", "x.h5", "--disorder-j4", "1"), "disorder_j4 needs j4"),
    "shard size": (("generate", "x.h5", "--shard-size", "0"), "shard_size is 0"),
    "labels of a run": (("compress", "run.h5", "x.h5", "--rank", 2, "--labels", "x.npy"), "--labels has no"),
    "member of a dataset": (("export", "chains.h5", "x.csv", "--member", 0), "--member has no meaning for a dataset"),
    "factory of a run": (("export", "run.h5", "x.onnx", "--factory", "a:b"), "--factory has no meaning for a run"),
    "all and another": (("reproduce", "all", "poster"), "leave poster out"),
    "export over data": (("export", "chains.h5", "chains.h5", "--force"), "named twice"),
    "one seed": (("reproduce", "--seeds", "1"), "at least 2"),
    "experiment": (("reproduce", "perpetuum"), "perpetuum"),
    "setting": (("reproduce", "--set", "colour=red"), "colour"),
    "setting of another kind": (("reproduce", "--set", "epochs=many"), "expected a value like 20"),
    "setting out of range": (("reproduce", "--set", "views=x-ray"), "choose among random, fixed"),
    "setting without a value": (("reproduce", "--set", "epochs"), "FIELD=VALUE"),
    "setting of nobody": (("reproduce", "poster", "phases", "--set", "rank=3"), "no experiment here has"),
    "part": (("reproduce", "--part", "3/2"), "I/N"),
    "nothing to redraw": (("reproduce", "phases", "--redraw"), "holds no results; run the experiment"),
    "seeds twice": (("reproduce", "--seeds", "3", "--set", "seeds=4"), "differ; give one"),
    "activation of an experiment": (("reproduce", "--set", "activation=foo"), "choose one of relu, tanh, sigmoid"),
    "width of an experiment": (("reproduce", "--set", "hidden=0"), "the first at least 4"),
    "redraw otherwise": (("reproduce", "phases", "--redraw", "--seeds", "3"), "leave --set"),
    "no experiment of one's own": (("reproduce", "nowhere.py"), "does not exist"),
    "device of an experiment": (("reproduce", "phases", "--device", "abacus"), "auto, cpu or cuda"),
    "no bond": (("compress", "run.h5", "x.h5", "--method", "mpo"), "--max-bond"),
    "idle rank": (("compress", "run.h5", "x.h5", "--method", "mpo", "--max-bond", "2", "--rank", "3"), "no meaning"),
    "idle shape": (("sweep", "run.h5", "chains.h5", "--shape", "2,4:8,8", "--out", "x.csv"), "no meaning"),
    "grown": (("compress", "run.h5", "x.h5", "--method", "mpo", "--max-bond", "99"), "choose max_bond up to"),
    "bond 0": (("compress", "run.h5", "x.h5", "--method", "mpo", "--max-bond", "0"), "choose 1 to"),
    "dims": (("entanglement", "run.h5", "--shape", "2,2:8,8", "--out", "x.png"), "multiply to 4 but the layer has 8"),
    "dims in words": (("entanglement", "run.h5", "--shape", "two", "--out", "x.png"), "OUT_DIMS:IN_DIMS"),
    "base": (("entanglement", "run.h5", "--base", "1", "--out", "x.png"), "above 1"),
    "shuffles": (("entanglement", "run.h5", "--shuffles", "0", "--out", "x.png"), "of at least 2"),
    "entanglement of data": (("entanglement", "chains.h5", "--out", "x.png"), "expected a sshml-run file"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_one_line_and_leaves_nothing(call, folder, case):
    arguments, words = BAD[case]
    (folder / "notes.txt").write_text("no HDF5 here\n" * 100)
    if "long.h5" in arguments and not (folder / "long.h5").exists():
        sizes = ("--train", 2, "--valid", 1, "--test", 1)
        assert call(folder, "generate", "long.h5", "--cells", 6, *sizes)[0] == 0
    before = sorted(p.name for p in folder.iterdir())
    code, out, err = call(folder, *arguments)
    lines = [line for line in err.splitlines() if line.strip()]
    assert code == 2
    assert out == ""
    assert words in lines[-1]
    assert len([line for line in lines if "━" not in line]) == 1
    assert sorted(p.name for p in folder.iterdir()) == before
