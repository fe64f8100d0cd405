import dataclasses

import numpy as np

from sshml import plotting
from sshml.analysis import evaluate
from sshml.dataset import DatasetSpec, generate, open_dataset


def test_learning_curves_show_every_split_and_what_was_kept(run):
    figure = plotting.learning_curves(run)
    losses, accuracies = figure.axes
    assert [line.get_label() for line in losses.lines] == ["training", "validation"]
    np.testing.assert_allclose(losses.lines[1].get_ydata(), run.history["valid_loss"].mean(0))
    np.testing.assert_array_equal(accuracies.lines[-1].get_xdata(), run.epoch)
    np.testing.assert_allclose(accuracies.lines[-1].get_ydata(), run.history["valid_accuracy"].max(1))


def test_learning_curves_of_networks_that_stopped(run):
    history = {name: values.copy() for name, values in run.history.items()}
    history |= {"test_accuracy": history["valid_accuracy"], "test_loss": history["valid_loss"]}
    for values in history.values():
        values[0, 4:] = np.nan
    epoch = np.array([values[:4].argmax() + 1 for values in history["valid_accuracy"]])
    figure = plotting.learning_curves(dataclasses.replace(run, history=history, epoch=epoch))
    line = figure.axes[0].lines[0]
    np.testing.assert_allclose(line.get_ydata()[5], history["train_loss"][1:, 5].mean())
    assert "test" in [line.get_label() for line in figure.axes[1].lines]


def test_evaluations_of_one_and_of_several_data(run, dataset):
    found = evaluate(run, dataset.test)
    figure = plotting.evaluation_figure(found)
    assert len([ax for ax in figure.axes if ax.get_xlabel()]) == 3
    other = dataclasses.replace(found, disorder={"v": 0.5, "w": 0})
    figure = plotting.evaluation_figure({"a.h5": found, "b.h5": other})
    names = [ax.get_xlabel() for ax in figure.axes]
    assert "largest disorder strength $W$" in names
    assert len(figure.axes[0].containers) == 2
    third, given = (dataclasses.replace(found, disorder=each) for each in ({"v": 1.0}, None))
    figure = plotting.evaluation_figure({"a.h5": other, "b.h5": third, "given.h5": given})
    (disorder,) = (ax for ax in figure.axes if ax.get_xlabel() == "largest disorder strength $W$")
    assert disorder.containers[0][0].get_xdata().tolist() == [0.5, 1.0]
    bare = dataclasses.replace(found, edges=None, by_ratio=None, chains=None, disorder=None)
    assert len(plotting.evaluation_figure(bare).axes) == 2


def test_an_evaluation_over_a_diagram_has_maps(dataset, run, tmp_path):
    spec = DatasetSpec(cells=4, train=4, valid=2, test=60, disorder_v="0:2")
    generate(spec, tmp_path / "a.h5")
    found = evaluate(run, open_dataset(tmp_path / "a.h5").test)
    figure = plotting.evaluation_figure(found)
    names = [ax.get_ylabel() for ax in figure.axes]
    assert names.count("$W_v$ (unit of the hoppings)") == 2
    rows = {name: (values, count) for name, values, count in found.rows() if name.startswith("accuracy, disorder_v")}
    assert sum(count for _, count in rows.values()) == 60
    hits = sum(values * count for values, count in rows.values())
    np.testing.assert_allclose(np.nan_to_num(hits) / 60, found.accuracy, atol=1e-12)
