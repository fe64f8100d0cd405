import numpy as np
import pytest

from sshml.experiments.increments.measurements import SHAPES, WIDTHS, flat_shape, noisy


class Split:
    labels = np.arange(1000) % 10

    def inputs(self, view=None):
        return np.zeros((1000, 2), np.float32)


def test_a_share_of_the_labels_is_drawn_anew():
    found = noisy(Split(), 0.4)
    assert len(found) == 1000
    assert (found.labels != Split.labels).mean() == pytest.approx(0.36, abs=0.04)
    assert (noisy(Split(), 0.4).labels == found.labels).all()
    assert (noisy(Split(), 0.0).labels == Split.labels).all()
    assert found.inputs().shape == (1000, 2)


@pytest.mark.parametrize(("name", "layer"), [(n, layer) for n, shapes in SHAPES.items() for layer in shapes])
def test_shapes_fit_the_layers(name, layer):
    widths, number = WIDTHS[name], (int(layer) - 1) // 2
    for shape in (SHAPES[name][layer], flat_shape(widths[number + 1], widths[number])):
        assert (shape.out_features, shape.in_features) == (widths[number + 1], widths[number])
