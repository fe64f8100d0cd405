import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_wine
from sklearn.model_selection import cross_val_score
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import sshml
from sshml.compression.estimators import to_module
from sshml.errors import SSHMLError


@pytest.fixture(scope="module")
def wine():
    x, y = load_wine(return_X_y=True)
    return StandardScaler().fit_transform(x), y


@pytest.fixture(scope="module")
def fitted(wine):
    return MLPClassifier((12,), activation="tanh", random_state=0, solver="lbfgs", max_iter=500).fit(*wine)


def test_exact_at_full_size(fitted, wine):
    small = sshml.compress(fitted, 0, "svd", rank=12, allow_growth=True)
    np.testing.assert_allclose(small.predict_proba(wine[0]), fitted.predict_proba(wine[0]), atol=1e-12)
    assert (small.predict(wine[0]) == fitted.predict(wine[0])).all()


def test_the_blog_counts(fitted):
    """Bias absorbed, rank 2: 2 (13 + 1 + 12) and the last layer, 3 (12 + 1)."""
    small = sshml.compress(fitted, share=0.5, methods="svd", layers="0", absorb_bias=True)
    assert small.module_[0].rank == 2
    assert sshml.n_bytes(small.module_) == 8 * (2 * (14 + 12) + 39)


def test_it_is_a_predictor_of_scikit_learn(fitted, wine):
    x, y = wine
    small = sshml.compress(fitted, share=0.7, data=x)
    assert small.score(x, y) > 0.9
    assert list(small.classes_) == [0, 1, 2]
    assert not hasattr(clone(small), "module_")
    pipe = make_pipeline(StandardScaler(), clone(small))
    assert cross_val_score(pipe, x, y, cv=3).mean() > 0.8
    with pytest.raises(ValueError, match="features"):
        small.predict(x[:, :5])


@pytest.mark.filterwarnings("ignore:lbfgs failed")
@pytest.mark.parametrize("targets", ["binary", "several labels", "one number", "two numbers"])
def test_every_kind_of_target(wine, targets):
    x, y = wine
    options = {"hidden_layer_sizes": (6,), "solver": "lbfgs", "max_iter": 300, "random_state": 0}
    if targets == "binary":
        model, y = MLPClassifier(**options), np.where(y > 0, "a", "b")
    elif targets == "several labels":
        model, y = MLPClassifier(**options), np.stack([y == 0, y > 0], 1).astype(int)
    else:
        model, y = MLPRegressor(**options), x[:, 0] if targets == "one number" else x[:, :2]
    model.fit(x, y)
    small = sshml.compress(model, 0, "svd", rank=6, allow_growth=True)
    expected, found = model.predict(x), small.predict(x)
    assert found.shape == expected.shape
    assert (found == expected).all() if found.dtype.kind in "UOi" else np.allclose(found, expected)


def test_float32_and_unknown_activations(fitted, wine):
    x, y = wine
    single = MLPClassifier((6,), max_iter=300, solver="lbfgs").fit(x.astype(np.float32), y)
    assert {p.dtype for p in to_module(single).parameters()} == {to_module(single)[0].weight.dtype}
    other = clone(fitted)
    other.__dict__ |= fitted.__dict__ | {"activation": "swish"}
    with pytest.raises(SSHMLError, match="swish"):
        sshml.compress(other, share=0.5)


@pytest.mark.parametrize("classes", [np.array(["a", "b", "c"]), np.array([1, 2, 5])])
def test_data_may_hold_the_classes_themselves(wine, classes):
    x, y = wine
    fitted = MLPClassifier((12,), random_state=0, solver="lbfgs", max_iter=500).fit(x, classes[y])
    small = sshml.compress(fitted, accuracy=0.9, data=(x, classes[y]))
    assert set(small.predict(x)) <= set(classes)
    assert small.score(x, classes[y]) >= 0.9
    part = y < 2
    sshml.compress(fitted, accuracy=0.9, data=(x[part], classes[y][part]))
    with pytest.raises(SSHMLError, match="is none of the classes"):
        sshml.compress(fitted, share=0.5, data=(x, np.full(len(x), 9 if classes.dtype.kind == "i" else "z")))
