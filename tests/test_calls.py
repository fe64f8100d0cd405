"""Every public function with dozens of values in the place of each argument: one kind of error, nothing wrong taken."""

import functools
import inspect
import math
import os
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from sshml import analysis, chain, classifier, compression, dataset, experiments, plotting, statistics
from sshml.errors import SSHMLError

ROOMS = {
    "chain": chain,
    "dataset": dataset,
    "classifier": classifier,
    "compression": compression,
    "analysis": analysis,
    "experiments": experiments,
}


def values():
    """Return values by name, made anew: some are used up, or changed, by what they are given to."""
    return {
        "None": None,
        "object": object(),
        "class": dict,
        "class of layers": nn.Linear,
        "library": math,
        "function": lambda: None,
        "error": ValueError("x"),
        "text": "no such thing",
        "empty text": "",
        "null text": "a\0b",
        "long text": "a" * 300,
        "number text": "1",
        "bytes": b"ab",
        "path": Path("/nonexistent/x"),
        "complex": 1 + 2j,
        "nan": math.nan,
        "inf": math.inf,
        "-inf": -math.inf,
        "huge": 10**400,
        "endless": 10**5000,
        "negative": -1,
        "zero": 0,
        "half": 1.5,
        "true": True,
        "numpy true": np.True_,
        "decimal": Decimal("NaN"),
        "fraction": Fraction(3, 2),
        "dict": {},
        "names": {"a": 1},
        "list": [],
        "texts": ["a"],
        "nones": [None],
        "halves": [0.5, 1.5],
        "ragged": [[1], [1, 2]],
        "tuple": (1, 2, 3),
        "set": {1.5},
        "generator": (x for x in [None]),
        "slice": slice(1),
        "masked": np.ma.masked_array([1.0, 2.0], [True, False]),
        "objects": np.array([None, object()], object),
        "text array": np.array(["a", "b"]),
        "dates": np.array(["2020-01-01"], "datetime64[D]"),
        "record": np.zeros(2, "i4,f4"),
        "empty array": np.zeros(0),
        "nan array": np.full((2, 2), np.nan),
        "complex array": np.ones((2, 2), complex),
        "five axes": np.ones((1, 1, 1, 1, 1)),
        "bool array": np.array([True, False]),
        "grad": torch.ones(2, requires_grad=True),
        "bfloat16": torch.ones(2, 2, dtype=torch.bfloat16),
        "meta": torch.empty(2, 2, device="meta"),
        "sparse": torch.eye(2).to_sparse(),
        "complex tensor": torch.ones(2, 2, dtype=torch.complex64),
        "layer": nn.Linear(2, 3),
        "empty layer": nn.Identity(),
    }


NUMBERS = {"negative", "zero"}
LISTS = {"list", "tuple", "empty array"}
ARRAYS = {*LISTS, "halves", "five axes", "grad", "bfloat16"}
MODULES = {"layer", "empty layer"}
CALLABLES = {"function", "class", "class of layers", *MODULES}

MAY = {
    "integer": NUMBERS,
    "bond": {*NUMBERS, "huge", "endless"},  # capped at the exact rank
    "real": {*NUMBERS, "half", "fraction"},
    "flag": {"true", "numpy true"},
    "array": {*NUMBERS, "half", *ARRAYS},
    "measured": {*NUMBERS, "half", *ARRAYS, "true", "numpy true", "bool array", "nan", "inf", "-inf", "nan array"},
    "integers": LISTS,
    "path": {"text", "number text", "empty text", "path"},
    "module": MODULES,
    "weight": {"layer", "five axes", "bfloat16"},
    "hopping": {*NUMBERS, "number text", "half", "fraction", "halves", "tuple"},
    "rows": {*NUMBERS, *LISTS, "slice"},
    "layer": {*NUMBERS, "number text"},
    "thing": set(),
}
"""What may pass where an argument of a kind is asked for; all else must be refused."""

KINDS = {
    "integer": "seed first width stream cells train folds neighbours valid padding epochs patience member power"
    " in_features out_features keep steps rows columns draws vectors shuffles bins size site"
    " points shard_size queries limit group_bytes batch_size workers"
    " level every steps_per_epoch oversampling rank sites count depth growth channels classes",
    "bond": "max_bond",
    "real": "learning_rate weight_decay warmup clip average share temperature decay cutoff budget target"
    " base alpha epsilon threshold bound least most allowed n_bytes tolerance accuracy",
    "flag": "half_cell correlated force recipe training pad allow_growth absorb_bias shrink faster dense full deep"
    " flat exact",
    "array": "k v w j3 j4 onsite mass energies sizes x mean std ratio winding states even weights directions"
    " of_f of_g state",
    "measured": "values schmidt_values",
    "integers": "widths augment ranks bonds keeps groups",
    "path": "path checkpoint root out data folder",
    "module": "model module teacher small models",
    "weight": "weight",
    "layer": "layer",
    "rows": "index",
}
KIND = {name: kind for kind, names in KINDS.items() for name in names.split()}
OWN = {
    "dataset.DatasetSpec": dict.fromkeys(("v", "w", "disorder_v", "onsite", "beta"), "hopping") | {"power": "integer"},
    "chain.mean_log": {"clean": "array", "strength": "array", "probability": "array"},
    "dataset.Range": {"low": "real", "high": "real"},
    "dataset.Range.parse": {"value": "hopping"},
    "classifier.Run.model": {"initial": "flag"},
    "compression.LowRankLinear.from_dense": {"layer": "module"},
    "compression.MPOLinear.from_dense": {"layer": "module"},
    "compression.MaskedLinear.from_dense": {"layer": "module"},
    "compression.BlockLowRankLinear.from_dense": {"layer": "module"},
    "analysis.smallest_size": {"accuracy": "measured", "threshold": "measured"},
    "analysis.Sweep.smallest": {"threshold": "measured"},
    "dataset.preview": {"states": "integer"},
}
"""Kinds of arguments by name, and where a function has its own; those without a kind take nothing of the pool."""

CALLED = {"progress", "on_epoch", "on_step", "loss", "project", "evaluate", "factory"}
"""Arguments that are called: what a function of the user raises is the user's."""

ALSO = {
    ("chain.as_longer", "j3"): {"None"},  # a hopping that is not there
    ("chain.as_longer", "j4"): {"None"},
    ("chain.as_longer", "v"): {"nan array"},  # only its shape counts
    ("chain.as_onsite", "onsite"): {"None"},
    ("chain.uniforms", "key"): {"zero"},
    ("classifier.exact_network", "level"): {"None"},  # two neurons
    ("dataset.View", "levels"): {"tuple"},
    ("dataset.View", "sites"): {"tuple"},
    ("dataset.View.parse", "view"): {"None"},  # the states
    ("dataset.check_view", "view"): {"None"},
    ("dataset.Split.inputs", "view"): {"None"},
    ("dataset.Split.read", "array"): {"list", "empty array"},  # no arrays asked for
    ("dataset.generate", "scheduler"): {"empty text"},  # none
    ("classifier.fit", "seeds"): {"tuple"},
    ("classifier.fit", "watch"): {"dict"},
    ("classifier.load_run", "layers"): {"dict", "names"},
    ("classifier.resident", "dtype"): {"None"},
    ("classifier.stack", "example"): {"grad", "bfloat16", "meta", "sparse", "complex tensor"},  # not looked at here
    ("compression.BlockLowRankLinear.from_dense", "blocks"): {"tuple"},  # 1 + 2 + 3 inputs
    ("compression.as_blocks", "blocks"): {"tuple", "None"},  # the same; about as many as a block has inputs
    ("compression.MPOLinear", "max_bond"): {"nones"},  # None at every cut
    ("compression.MPOLinear.from_dense", "max_bond"): {"nones"},
    ("compression.MPOLinear.compress", "max_bond"): {"nones"},
    ("compression.MPOShape.bonds", "max_bond"): {"nones"},
    ("compression.tensorize", "max_bond"): {"nones", "None"},
    ("analysis.ceilings", "max_bond"): {"nones"},
    ("compression.as_shape", "shape"): {"None"},  # the automatic one
    ("compression.choose_bonds", "shape"): {"None"},
    ("compression.choose_bonds", "budget"): {"inf"},
    ("compression.front", "shares"): {"list", "empty array"},  # the model as it is
    ("compression.tensorize", "orders"): {"dict"},
    ("analysis.compress_run", "method"): {"None"},
    ("analysis.cut_report", "initial"): {"list", "empty array"},
    ("analysis.entanglement_entropy", "alpha"): {"inf"},  # the min-entropy
    ("analysis.entropy_recorder", "layers"): {"dict", "names"},  # looked for in the network
    ("analysis.ordering_entropies", "orderings"): {"list", "empty array"},
    ("analysis.reveal_ranks", "layers"): {"empty text"},  # the name of a network that is one layer
    ("experiments.settings_of", "changes"): {"dict", "list", "empty array"},
    ("dataset.images", "root"): {"None"},  # asks the network
}
"""What may pass in one place, with the reason."""

LEFT_OUT = {
    "dataset": "Dataset Diagram ImageDataset ImageSplit Preview Split",  # made by open_dataset and images
    "classifier": "Recipe Run StackedLinear check_labels is_patched"  # made by fit and stack; for those who checked
    " FC2 LeNet5 CumulativeLogs",  # without arguments
    "compression": "Choice CompressedAttention CompressedConv CompressedLinear Front Plan Report Site"  # made by it
    " product shrinkage Spectrum tensorised",  # steps of others, which check
    "analysis": "CutReport Evaluation Revealed Selection Sweep",  # results
    "experiments": "Claim Experiment Job Outcome Reproduction Result Rule Shown Where job_lines"
    " names",  # by their owner
}
"""Names that have no row, by room."""


class Few:
    """A split of a few samples."""

    def __init__(self, inputs, labels):
        self.inputs, self.labels = inputs, labels

    def __len__(self):
        return len(self.labels)


def two():
    return nn.Linear(6, 2)


def made(data, run, folder):
    """Return {room.function: (function, arguments it takes)}; a dot more is a method of what is before it."""
    rng = np.random.default_rng(0)
    v, w = rng.uniform(0.5, 1, (12, 4)), rng.uniform(0.5, 1, (12, 3))
    states = chain.eigenstates(v, w)[1]
    layer, shape = nn.Linear(6, 4), ((2, 2), (3, 2))
    net = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 4))
    x, labels = torch.randn(20, 6), torch.arange(20) % 4
    low = compression.LowRankLinear.from_dense(layer, 2)
    factors = nn.Sequential(low)
    mpo = compression.MPOLinear.from_dense(layer, shape, allow_growth=True)
    inputs = Few(x.numpy(), (labels % 2).numpy())
    spec = dataset.DatasetSpec(cells=2, train=4, valid=2, test=2)
    training = classifier.TrainingSpec(epochs=1)
    sweep = analysis.rank_sweep(run, data.test, ranks=[1, 2])
    plan = compression.plan(net, share=0.9)
    hop = {"v": v, "w": w, "boundary": "open", "j3": 0.1, "j4": 0.2}
    wide = {"v": v, "w": w, "boundary": "open"}
    ax = plotting.new_figure()[1][0, 0]
    values, ratio = rng.uniform(0.5, 1, 12), rng.uniform(0.5, 1, len(data.test))
    return {
        "chain.apply_gauge": (chain.apply_gauge, {"states": states.copy(), "gauge": "fixed", "seed": 0, "first": 0}),
        "chain.as_longer": (chain.as_longer, {"j3": 0.1, "j4": 0.2, "v": v, "boundary": "open", "half_cell": False}),
        "chain.bloch_hamiltonian": (chain.bloch_hamiltonian, {"k": 0.1, "v": 1.0, "w": 1.0, "j3": 0.1, "mass": 0.2}),
        "chain.dispersion": (chain.dispersion, {"k": 0.1, "v": 1.0, "w": 1.0, "j3": 0.1, "mass": 0.2}),
        "chain.block": (chain.block, hop),
        "chain.hamiltonian": (chain.hamiltonian, hop | {"onsite": 0.1}),
        "chain.as_hoppings": (chain.as_hoppings, wide),
        "chain.as_onsite": (chain.as_onsite, {"onsite": 0.1, "v": v, "w": w, "boundary": "open"}),
        "chain.check_power": (chain.check_power, {"power": 2}),
        "chain.critical_states": (chain.critical_states, {"sites": 6}),
        "chain.decay_length": (chain.decay_length, {"states": states}),
        "chain.edge_dipole": (chain.edge_dipole, {"states": states}),
        "chain.inverse_participation_ratio": (chain.inverse_participation_ratio, {"states": states}),
        "chain.local_chiral_marker": (chain.local_chiral_marker, {"states": states, "boundary": "open"}),
        "chain.localisation_length": (chain.localisation_length, wide),
        "chain.mean_log": (chain.mean_log, {"law": "binary", "clean": 1.0, "strength": 0.5, "probability": 0.2}),
        "chain.real_space_winding": (chain.real_space_winding, {"states": states, "boundary": "open"}),
        "chain.label": (chain.label, {"v": v, "w": w, "boundary": "open"}),
        "chain.log_margin": (chain.log_margin, {"v": v, "w": w, "boundary": "open"}),
        "chain.winding_number": (chain.winding_number, {"v": 0.5, "w": 1.0, "boundary": "open", "j3": 0.1, "j4": 0.2}),
        "chain.eigenstates": (chain.eigenstates, hop | {"onsite": 0.1, "dtype": np.float32, "solver": "auto"}),
        "chain.fix_gauge": (chain.fix_gauge, {"states": states}),
        "chain.fixed_signs": (chain.fixed_signs, {"states": states}),
        "chain.random_gauge": (chain.random_gauge, {"states": states, "seed": 0, "first": 0}),
        "chain.hoppings_of_state": (chain.hoppings_of_state, {"state": states[:, 3]}),
        "chain.hoppings_of_states": (chain.hoppings_of_states, {"states": states}),
        "chain.state_condition": (chain.state_condition, {"state": states[:, 3]}),
        "chain.uniforms": (chain.uniforms, {"key": 0, "first": 0, "count": 2, "width": 3, "stream": 0}),
        "dataset.DatasetSpec": (
            dataset.DatasetSpec,
            {
                "cells": 2,
                "v": 0.5,
                "w": "0:1",
                "disorder_v": 0.1,
                "boundary": "open",
                "gauge": "fixed",
                "train": 1,
                "seed": 0,
                "law": "quasiperiodic",
                "onsite": 0.1,
                "beta": 0.3,
                "power": 2,
                "correlated": True,
                "half_cell": True,
            },
        ),
        "dataset.DatasetSpec.from_json": (dataset.DatasetSpec.from_json, {"text": spec.to_json()}),
        "dataset.Range": (dataset.Range, {"low": 0, "high": 1, "points": 3}),
        "dataset.Range.parse": (dataset.Range.parse, {"value": "0:1"}),
        "dataset.GivenSpec": (
            dataset.GivenSpec,
            {"cells": 2, "kinds": ("v", "w"), "boundary": "open", "gauge": "fixed", "train": 1, "half_cell": False},
        ),
        "dataset.GivenSpec.from_json": (
            dataset.GivenSpec.from_json,
            {"text": dataset.GivenSpec(2, ("v", "w")).to_json()},
        ),
        "dataset.spec_from_json": (dataset.spec_from_json, {"text": spec.to_json()}),
        "dataset.View": (dataset.View, {"kind": "states", "levels": (1,), "sites": (1, 2), "signs": "pairs"}),
        "dataset.View.parse": (dataset.View.parse, {"view": "abs"}),
        "dataset.diagram": (dataset.diagram, {"split": data.test, "bins": 3}),
        "dataset.from_hoppings": (
            dataset.from_hoppings,
            {
                "v": v,
                "w": w,
                "path": folder / "given.h5",
                "train": 8,
                "valid": 2,
                "test": 2,
                "boundary": "open",
                "onsite": None,
                "gauge": "fixed",
                "seed": 0,
                "recipe": True,
                "force": True,
                "progress": None,
            },
        ),
        "dataset.markers": (
            dataset.markers,
            {"states": states, "energies": chain.eigenstates(v, w)[0], "boundary": "open"},
        ),
        "dataset.one_number_baselines": (dataset.one_number_baselines, {"dataset": data, "limit": 20}),
        "dataset.preview": (dataset.preview, {"split": data.test, "count": 3, "states": 1}),
        "dataset.read_hoppings": (dataset.read_hoppings, {"path": folder / "hoppings.npz"}),
        "dataset.Layout": (dataset.Layout, {"spec": spec, "recipe": False}),
        "dataset.Split.read": (data.test.read, {"array": "v", "index": 0}),
        "dataset.Split.inputs": (data.test.inputs, {"view": "abs", "index": 0}),
        "dataset.check": (dataset.check, {"path": data.path, "progress": None, "deep": False}),
        "dataset.check_view": (dataset.check_view, {"view": "abs"}),
        "dataset.export": (dataset.export, {"data": data.path, "path": folder / "new.csv", "force": True}),
        "dataset.generate": (
            dataset.generate,
            {
                "spec": spec,
                "path": folder / "new.h5",
                "force": True,
                "progress": None,
                "recipe": True,
                "shard_size": None,
                "workers": 1,
                "scheduler": None,
            },
        ),
        "dataset.images": (
            dataset.images,
            {"name": "mnist", "root": folder / "none", "valid": 10, "seed": 0, "padding": 0},
        ),
        "dataset.open_dataset": (dataset.open_dataset, {"path": data.path}),
        "dataset.samples": (dataset.samples, {"spec": spec, "split": "train", "first": 0, "count": 2}),
        "dataset.shard_folder": (dataset.shard_folder, {"path": data.path}),
        "dataset.sign_leakage": (
            dataset.sign_leakage,
            {"states": states, "winding": np.arange(12) % 2, "folds": 2, "neighbours": 1, "limit": 12, "seed": 0},
        ),
        "dataset.split_distance": (dataset.split_distance, {"dataset": data, "queries": 3}),
        "classifier.MLP": (classifier.MLP, {"widths": (4, 2), "activation": "relu"}),
        "classifier.VGG": (classifier.VGG, {"configuration": "C", "channels": 1, "classes": 2, "flat": True}),
        "classifier.ResNet": (classifier.ResNet, {"depth": 8, "k": 1, "channels": 1, "classes": 2}),
        "classifier.DenseNet": (classifier.DenseNet, {"depth": 7, "growth": 2, "channels": 1, "classes": 2}),
        "classifier.TrainingSpec": (
            classifier.TrainingSpec,
            {
                "epochs": 1,
                "batch_size": 2,
                "learning_rate": 0.1,
                "weight_decay": 0.0,
                "view": "abs",
                "optimizer": "adam",
                "schedule": "cosine",
                "warmup": 0.0,
                "clip": 0.0,
                "patience": 0,
                "augment": (),
                "precision": "float32",
                "average": 0.0,
            },
        ),
        "classifier.Run.model": (run.model, {"member": 0, "initial": False}),
        "classifier.Run.with_models": (run.with_models, {"models": run.models()}),
        "classifier.Run.accuracy": (run.accuracy, {"split": data.test, "device": "cpu"}),
        "classifier.Run.predict": (run.predict, {"split": data.test, "device": "cpu"}),
        "classifier.Run.probabilities": (run.probabilities, {"split": data.test, "device": "cpu"}),
        "classifier.Stream": (
            classifier.Stream,
            {"split": data.test, "view": "abs", "batch_size": 8, "seed": 0, "workers": 0, "group_bytes": 2**20},
        ),
        "classifier.children_of": (classifier.children_of, {"module": net}),
        "classifier.exact_log_network": (classifier.exact_log_network, {"cells": 3}),
        "classifier.WindingNetwork": (classifier.WindingNetwork, {"cells": 3, "exact": False}),
        "classifier.exact_network": (classifier.exact_network, {"cells": 3, "level": 1}),
        "classifier.finetune": (
            classifier.finetune,
            {
                "model": nn.Linear(6, 2),
                "train": inputs,
                "valid": inputs,
                "training": training,
                "teacher": nn.Linear(6, 2),
                "share": 0.5,
                "temperature": 2.0,
                "seed": 0,
                "device": "cpu",
                "progress": None,
            },
        ),
        "classifier.fit": (
            classifier.fit,
            {
                "factory": two,
                "train": inputs,
                "valid": inputs,
                "training": training,
                "seeds": 1,
                "device": "cpu",
                "progress": None,
                "on_epoch": None,
                "on_step": None,
                "checkpoint": None,
                "loss": None,
                "project": None,
                "watch": None,
            },
        ),
        "classifier.input_type": (classifier.input_type, {"model": net}),
        "classifier.load_run": (classifier.load_run, {"path": folder / "run.h5", "factory": None, "layers": None}),
        "classifier.members_of": (classifier.members_of, {"models": run, "view": None}),
        "classifier.pick_device": (classifier.pick_device, {"device": "cpu"}),
        "classifier.resident": (
            classifier.resident,
            {"split": data.test, "view": "abs", "device": "cpu", "dtype": torch.float32},
        ),
        "classifier.save_run": (classifier.save_run, {"run": run, "path": folder / "new.h5", "force": True}),
        "classifier.stack": (classifier.stack, {"members": [nn.Linear(6, 4)], "example": x, "training": True}),
        "compression.FrobeniusDecay": (
            compression.FrobeniusDecay,
            {"model": factors, "decay": 1e-3, "optimizer": torch.optim.SGD(factors.parameters())},
        ),
        "compression.LowRank": (
            compression.LowRank,
            {
                "model": net,
                "rank": 2,
                "every": "epoch",
                "method": "svd",
                "moments": "keep",
                "optimizer": None,
                "steps_per_epoch": None,
                "oversampling": 2,
                "power": 1,
                "seed": 0,
            },
        ),
        "compression.LowRankLinear": (compression.LowRankLinear, {"in_features": 6, "out_features": 4, "rank": 2}),
        "compression.LowRankLinear.from_dense": (
            compression.LowRankLinear.from_dense,
            {"layer": layer, "rank": 2, "allow_growth": True},
        ),
        "compression.MPOLinear": (
            compression.MPOLinear,
            {"in_features": 6, "out_features": 4, "shape": shape, "max_bond": 2, "order": None},
        ),
        "compression.MPOLinear.from_dense": (
            compression.MPOLinear.from_dense,
            {"layer": layer, "shape": shape, "max_bond": 2, "cutoff": 0.0, "order": None, "allow_growth": True},
        ),
        "compression.MPOLinear.canonicalize": (mpo.canonicalize, {"site": 0}),
        "compression.MPOLinear.compress": (mpo.compress, {"max_bond": 2, "cutoff": 0.0}),
        "compression.MPOShape": (compression.MPOShape, {"out_dims": (2, 2), "in_dims": (2, 2), "pad": False}),
        "compression.MPOShape.automatic": (
            compression.MPOShape.automatic,
            {"out_features": 4, "in_features": 6, "sites": 2, "pad": False},
        ),
        "compression.MPOShape.bonds": (compression.MPOShape((2, 2), (2, 2)).bonds, {"max_bond": 2}),
        "compression.median_of_noise": (compression.median_of_noise, {"ratio": 0.5}),
        "compression.BlockLowRankLinear": (
            compression.BlockLowRankLinear,
            {"in_features": 6, "out_features": 4, "ranks": [1, 0], "blocks": 2},
        ),
        "compression.BlockLowRankLinear.from_dense": (
            compression.BlockLowRankLinear.from_dense,
            {"layer": layer, "ranks": 1, "blocks": 2},
        ),
        "compression.MaskedLinear": (compression.MaskedLinear, {"in_features": 6, "out_features": 4, "keep": 2}),
        "compression.MaskedLinear.from_dense": (
            compression.MaskedLinear.from_dense,
            {"layer": layer, "keep": 2, "allow_growth": True},
        ),
        "compression.Plan.with_choice": (plan.with_choice, {"site": "0", "method": "svd", "rank": 2}),
        "compression.Plan.from_json": (compression.Plan.from_json, {"text": plan.to_json()}),
        "compression.as_blocks": (compression.as_blocks, {"blocks": 2, "inputs": 6}),
        "compression.as_shape": (compression.as_shape, {"shape": shape, "out_features": 4, "in_features": 6}),
        "compression.check_weight": (compression.check_weight, {"weight": layer}),
        "compression.choose_bonds": (
            compression.choose_bonds,
            {"weight": layer, "shape": shape, "budget": 20, "order": None},
        ),
        "compression.compress": (
            compression.compress,
            {"model": net, "layer": 0, "method": "svd", "rank": 2, "allow_growth": True},
        ),
        "compression.compress to share": (compression.compress, {"model": net, "share": 0.9, "data": x}),
        "compression.export_model": (
            compression.export_model,
            {"model": net, "path": folder / "new.pt2", "example": x, "force": True},
        ),
        "compression.find_layer": (compression.find_layer, {"model": net, "layer": 0}),
        "compression.front": (
            compression.front,
            {"model": net, "data": None, "shares": (0.9,), "test": None, "evaluate": None},
        ),
        "compression.index_dtype": (compression.index_dtype, {"size": 3}),
        "compression.largest_weights": (compression.largest_weights, {"weight": layer, "keep": 2}),
        "compression.linear_layers": (compression.linear_layers, {"model": net}),
        "compression.load_model": (compression.load_model, {"path": folder / "model.h5", "factory": lambda: net}),
        "compression.model_contents": (compression.model_contents, {"path": folder / "model.h5"}),
        "compression.n_bytes": (compression.n_bytes, {"model": net}),
        "compression.n_parameters": (compression.n_parameters, {"model": net}),
        "compression.plan": (
            compression.plan,
            {
                "model": net,
                "share": 0.9,
                "data": x,
                "evaluate": None,
                "methods": ("svd",),
                "layers": None,
                "absorb_bias": False,
                "shrink": False,
                "faster": False,
                "progress": None,
            },
        ),
        "compression.plan bytes": (compression.plan, {"model": net, "n_bytes": 300}),
        "compression.plan tolerance": (compression.plan, {"model": net, "tolerance": 0.5, "data": x}),
        "compression.plan accuracy": (
            compression.plan,
            {"model": net, "accuracy": 0.5, "data": (x, labels), "evaluate": lambda _: 1.0},
        ),
        "compression.randomized_svd": (
            compression.randomized_svd,
            {"weight": layer, "rank": 2, "oversampling": 2, "power": 1, "generator": None},
        ),
        "compression.read_module": (compression.read_module, {"path": folder / "model.pt2", "factory": None}),
        "compression.report": (
            compression.report,
            {"model": net, "small": compression.compress(net, plan), "data": None, "progress": None},
        ),
        "compression.save_model": (compression.save_model, {"model": net, "path": folder / "new.h5", "force": True}),
        "compression.stable_rank": (compression.stable_rank, {"weight": layer}),
        "compression.survey": (compression.survey, {"model": net}),
        "compression.tensorize": (
            compression.tensorize,
            {"model": net, "shapes": {0: ((4, 2), (3, 2))}, "max_bond": 2, "orders": None},
        ),
        "compression.to_torch": (compression.to_torch, {"model": net, "dense": False}),
        "compression.truncated_svd": (compression.truncated_svd, {"weight": layer, "rank": 2}),
        "analysis.eliminate_blocks": (
            analysis.eliminate_blocks,
            {"models": run, "valid": data.valid, "test": data.test, "layer": 0, "blocks": 8, "ranks": [1]},
        ),
        "analysis.level_directions": (
            analysis.level_directions,
            {"states": states, "even": states[0], "groups": range(states.shape[1])},
        ),
        "analysis.direction_norms": (
            analysis.direction_norms,
            {"weights": rng.normal(size=(3, 64)), "directions": states[:2]},
        ),
        "analysis.rank_of_directions": (analysis.rank_of_directions, {"of_f": np.ones(3), "of_g": np.ones(3)}),
        "analysis.RankLoss": (analysis.RankLoss, {"model": net, "data": (x, labels), "layers": None}),
        "analysis.bond_sweep": (
            analysis.bond_sweep,
            {
                "run": run,
                "split": data.test,
                "shape": None,
                "bonds": [1, 2],
                "layer": 0,
                "order": None,
                "device": "cpu",
            },
        ),
        "analysis.ceilings": (analysis.ceilings, {"shape": shape, "max_bond": 2}),
        "analysis.compress_run": (analysis.compress_run, {"run": run, "layer": 0, "method": "svd", "rank": 1}),
        "analysis.cut_entropies": (analysis.cut_entropies, {"weight": layer, "shape": shape, "order": None, "base": 2}),
        "analysis.cut_report": (
            analysis.cut_report,
            {"weights": [layer], "shape": shape, "initial": (), "shuffles": 2},
        ),
        "analysis.effective_rank": (analysis.effective_rank, {"schmidt_values": [1.0, 2.0]}),
        "analysis.entanglement_entropy": (
            analysis.entanglement_entropy,
            {"schmidt_values": [1.0, 2.0], "base": 2, "alpha": 2.0},
        ),
        "analysis.entropy_recorder": (analysis.entropy_recorder, {"layers": {"0": shape}, "every": 1}),
        "analysis.evaluate": (analysis.evaluate, {"run": run, "split": data.test, "bins": 3, "device": "cpu"}),
        "analysis.gaussian_cuts": (analysis.gaussian_cuts, {"shape": shape, "size": None}),
        "analysis.gaussian_entropy": (analysis.gaussian_entropy, {"rows": 4, "columns": 6}),
        "analysis.gaussian_spread": (analysis.gaussian_spread, {"rows": 4, "columns": 6, "draws": 3, "seed": 0}),
        "analysis.load_weights": (analysis.load_weights, {"path": folder / "run.h5", "layer": 0}),
        "analysis.marchenko_pastur_edge": (analysis.marchenko_pastur_edge, {"weight": layer}),
        "analysis.ordering_entropies": (
            analysis.ordering_entropies,
            {"weight": layer, "shape": shape, "orderings": [[0, 1]], "order": None, "base": 2},
        ),
        "analysis.outliers": (analysis.outliers, {"weight": layer}),
        "analysis.prune_sweep": (
            analysis.prune_sweep,
            {"models": run, "split": data.test, "layer": 0, "keeps": [1, 9], "view": None, "device": "cpu"},
        ),
        "analysis.rank_grid": (analysis.rank_grid, {"models": run, "split": data.test, "ranks": [1], "view": None}),
        "analysis.rank_sweep": (
            analysis.rank_sweep,
            {"models": run, "split": data.test, "layer": 0, "ranks": [1, 2], "view": None, "device": "cpu"},
        ),
        "analysis.reveal_ranks": (
            analysis.reveal_ranks,
            {"model": nn.Linear(6, 2), "split": inputs, "epsilon": 0.5, "layers": None, "view": None, "device": "cpu"},
        ),
        "analysis.schmidt_values": (
            analysis.schmidt_values,
            {"weight": layer, "shape": shape, "cut": 1, "order": None},
        ),
        "analysis.select": (analysis.select, {"run": run, "dataset": data, "layer": 0, "vectors": 2, "limit": 20}),
        "analysis.rotated_cuts": (
            analysis.rotated_cuts,
            {"weight": layer, "shape": shape, "draws": 1, "seed": 0, "order": None},
        ),
        "analysis.shrunk": (analysis.shrunk, {"weight": layer}),
        "analysis.shuffled_cuts": (
            analysis.shuffled_cuts,
            {"weight": layer, "shape": shape, "draws": 1, "seed": 0, "order": None},
        ),
        "analysis.singular_values": (analysis.singular_values, {"weight": layer}),
        "analysis.smallest_size": (
            analysis.smallest_size,
            {"sizes": [1, 2], "accuracy": [[0.5, 0.6]], "threshold": 0.5},
        ),
        "analysis.vector_entropies": (analysis.vector_entropies, {"weight": layer, "shape": shape, "count": 2}),
        "analysis.Sweep.smallest": (sweep.smallest, {"threshold": 0.5}),
        "experiments.joint_claims": (experiments.joint_claims, {"out": folder}),
        "experiments.write_joint": (experiments.write_joint, {"out": folder / "joint"}),
        "experiments.load": (experiments.load, {"name": "fc2"}),
        "experiments.above": (experiments.above, {"bound": 1.0}),
        "experiments.at_least": (experiments.at_least, {"least": 1.0}),
        "experiments.at_most": (experiments.at_most, {"most": 1.0}),
        "experiments.near": (experiments.near, {"target": 1.0, "allowed": 0.1}),
        "experiments.same": (experiments.same, {"allowed": 0.1}),
        "experiments.settings_of": (
            experiments.settings_of,
            {"experiment": experiments.load("fc2")[1], "full": False, "changes": {"seeds": 2}},
        ),
        "experiments.results_of": (experiments.results_of, {"folder": folder / "none"}),
        "experiments.redraw": (experiments.redraw, {"name": "fc2", "out": folder / "none"}),
        "experiments.run": (
            experiments.run,
            {
                "name": "fc2",
                "out": folder / "run.h5",
                "full": False,
                "workers": 1,
                "scheduler": None,
                "force": False,
                "keep": False,
            },
        ),
        "plotting.plot_band": (
            functools.partial(plotting.plot_band, ax),
            {"x": [1, 2], "mean": [1.0, 2.0], "std": [0.1, 0.1]},
        ),
        "plotting.plot_middle": (
            functools.partial(plotting.plot_middle, ax),
            {"x": [1, 2], "values": [[1.0, 2.0], [2.0, 3.0]]},
        ),
        "plotting.sweep_figure": (plotting.sweep_figure, {"sweep": sweep, "threshold": 0.9}),
        "plotting.learning_curves": (plotting.learning_curves, {"run": run}),
        "plotting.chains_figure": (plotting.chains_figure, {"preview": dataset.preview(data.test, 3, 1)}),
        "plotting.selection_figure": (
            plotting.selection_figure,
            {"selection": analysis.select(run, data), "ratio": ratio, "winding": data.test.labels},
        ),
        "statistics.mean_std": (statistics.mean_std, {"values": values}),
        "statistics.spread": (statistics.spread, {"values": values}),
        "statistics.band": (statistics.band, {"values": values}),
    }


KEYS = (
    "chain dataset.D dataset.G dataset.L dataset.R dataset.S dataset.V dataset.c dataset.d dataset.f"
    " dataset.m dataset.p dataset.r dataset.e dataset.g dataset.i dataset.o dataset.s classifier.D"
    " classifier.M classifier.T classifier.W classifier.R classifier.S classifier.V classifier.c classifier.e"
    " classifier.f classifier.i classifier.l classifier.m classifier.p classifier.r classifier.s"
    " compression.B compression.F compression.L compression.M compression.P compression.a compression.c"
    " compression.e compression.f compression.i compression.l compression.m compression.n compression.p"
    " compression.r compression.s compression.t analysis.R analysis.S analysis.b analysis.c analysis.d"
    " analysis.e analysis.g analysis.l analysis.m analysis.o analysis.p analysis.r analysis.s analysis.v"
    " experiments plotting statistics"
).split()


@pytest.fixture(scope="module")
def folder(tmp_path_factory, run):
    """A folder with a run, a model and a program."""
    made = tmp_path_factory.mktemp("calls")
    classifier.save_run(run, made / "run.h5")
    net = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 4))
    compression.save_model(net, made / "model.h5")
    (made / "joint" / "mine").mkdir(parents=True)
    (made / "joint" / "mine" / "settings.json").write_text("{}")
    row = "A,said,me,1,1,,,1,1,mean > 0,holds,"
    head = "id,claim,source,published,mean,std,error,seeds,of,criterion,verdict,older"
    (made / "joint" / "mine" / "claims.csv").write_text(f"{head}\n{row}\n")
    np.savez(made / "hoppings.npz", v=np.ones((3, 2)), w=np.ones((3, 1)))
    compression.export_model(net, made / "model.pt2", torch.zeros(2, 6))
    return made


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("start", KEYS)
def test_bad_values_are_refused(start, dataset, run, folder, monkeypatch):
    monkeypatch.chdir(folder)
    monkeypatch.setenv("SSHML_DATA_DIR", os.devnull)
    calls = {key: call for key, call in made(dataset, run, folder).items() if key.startswith(start)}
    assert calls
    wrong = []
    for key, (function, arguments) in calls.items():
        known = inspect.signature(function).parameters
        for name in arguments:
            optional = name in known and known[name].default is None
            fine = MAY[OWN.get(key, {}).get(name) or KIND.get(name, "thing")] | ALSO.get((key, name), set())
            for bad, value in values().items():
                if (name in CALLED and bad in CALLABLES) or (bad == "None" and (optional or name == "root")):
                    continue
                try:
                    function(**arguments | {name: value})
                    if bad not in fine:
                        wrong.append(f"{key}({name}={bad}) was taken")
                except SSHMLError as error:
                    if "\n" in str(error) or len(str(error)) > 600:
                        wrong.append(f"{key}({name}={bad}): {len(str(error))} letters")
                except Exception as error:
                    wrong.append(f"{key}({name}={bad}): {type(error).__name__}: {error}")
    assert not wrong, "\n".join(wrong[:40])


def test_the_calls_are_right_as_they_stand(dataset, run, folder, monkeypatch):
    """So that it is the bad value that is refused."""
    monkeypatch.chdir(folder)
    absent = {
        "dataset.images",
        "experiments.redraw",
        "experiments.results_of",
        "experiments.run",
    }  # nothing is there to be read
    for key, (function, arguments) in made(dataset, run, folder).items():
        if key in absent:
            with pytest.raises(SSHMLError, match=r"none|run\.h5"):
                function(**arguments)
        else:
            function(**arguments)


def test_every_public_function_is_called(dataset, run, folder):
    rows = {key.split(" ")[0] for key in made(dataset, run, folder)}
    for name, room in ROOMS.items():
        public = {each for each in room.__all__ if callable(getattr(room, each))}
        assert {f"{name}.{each}" for each in public - set(LEFT_OUT.get(name, "").split())} <= rows


def test_every_row_is_run(dataset, run, folder):
    assert all(any(key.startswith(start) for start in KEYS) for key in made(dataset, run, folder))
