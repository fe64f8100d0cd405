"""Perceptrons of scikit-learn as compressed predictors of the same interface; imported where one is given."""

import numpy as np
import torch
from sklearn.base import BaseEstimator, ClassifierMixin, MetaEstimatorMixin, RegressorMixin, clone, is_classifier
from sklearn.utils.validation import check_is_fitted, validate_data
from torch import nn

from sshml.compression.model import compress
from sshml.errors import SSHMLError

ACTIVATIONS = {"relu": nn.ReLU, "tanh": nn.Tanh, "logistic": nn.Sigmoid, "identity": nn.Identity}

LAST = {"identity": lambda z: z, "exp": np.exp}
"""Last activations of regressors."""


def to_module(estimator):
    """Return the `nn.Sequential` of a fitted `MLPClassifier` or `MLPRegressor`, without the last activation.

    Raises:
        SSHMLError: an activation that is unknown.
    """
    if estimator.activation not in ACTIVATIONS:
        raise SSHMLError(f"activation {estimator.activation!r} is unknown; expected one of {', '.join(ACTIVATIONS)}.")
    last = getattr(estimator, "out_activation_", "")
    if not is_classifier(estimator) and last not in LAST:
        raise SSHMLError(f"the last activation {last!r} is unknown; expected one of {', '.join(LAST)}.")
    layers = []
    for weight, bias in zip(estimator.coefs_, estimator.intercepts_, strict=True):
        layer = nn.Linear(*weight.shape, dtype=torch.from_numpy(weight[:0]).dtype)
        with torch.no_grad():
            layer.weight.copy_(torch.from_numpy(weight.T))
            layer.bias.copy_(torch.from_numpy(bias))
        layers += [layer, ACTIVATIONS[estimator.activation]()]
    return nn.Sequential(*layers[:-1]).eval()


class _Compressed(MetaEstimatorMixin, BaseEstimator):
    """What both predictors share."""

    def __init__(self, estimator, arguments=None, on_data=False):
        self.estimator = estimator
        self.arguments = arguments
        self.on_data = on_data

    def fit(self, X, y):
        """Fit the perceptron, then compress it."""
        self.estimator_ = clone(self.estimator).fit(X, y)
        return self._compress(np.asarray(X) if self.on_data else None)

    def _compress(self, data):
        self.module_ = compress(to_module(self.estimator_), data=data, **(self.arguments or {}))
        for name in ("classes_", "n_features_in_", "feature_names_in_", "n_outputs_"):
            if hasattr(self.estimator_, name):
                setattr(self, name, getattr(self.estimator_, name))
        return self

    @torch.no_grad()
    def _outputs(self, X):
        check_is_fitted(self, "module_")
        X = validate_data(self, X, reset=False)
        dtype = next(self.module_.parameters()).dtype
        return self.module_(torch.from_numpy(np.ascontiguousarray(X)).to(dtype)).numpy()


class CompressedMLPClassifier(ClassifierMixin, _Compressed):
    """A compressed `sklearn.neural_network.MLPClassifier`; what `compress` returns for a fitted one.

    Args:
        estimator: the `MLPClassifier`.
        arguments: of `compress`: {"share": 0.2}, {"layer": 0, "rank": 2}.
        on_data: whether the plan is made with the inputs of `fit`.
    """

    def predict_proba(self, X):
        """Return the probabilities (sample, class)."""
        z = self._outputs(X)
        kind = self.estimator_.out_activation_
        if kind == "softmax":
            e = np.exp(z - z.max(1, keepdims=True))
            return e / e.sum(1, keepdims=True)
        p = 1 / (1 + np.exp(-z))
        return np.hstack([1 - p, p]) if z.shape[1] == 1 else p

    def predict(self, X):
        """Return the classes."""
        p = self.predict_proba(X)
        if self.estimator_.out_activation_ == "logistic" and self.n_outputs_ > 1:  # several labels at once
            return (p > 0.5).astype(int)
        return self.classes_[p.argmax(1)]


class CompressedMLPRegressor(RegressorMixin, _Compressed):
    """A compressed `sklearn.neural_network.MLPRegressor`; arguments as of `CompressedMLPClassifier`."""

    def predict(self, X):
        """Return the outputs, (sample) or (sample, output)."""
        found = LAST[self.estimator_.out_activation_](self._outputs(X))
        return found.ravel() if found.shape[1] == 1 else found


def compressed_estimator(estimator, arguments, data):
    """Return the predictor of a fitted perceptron of scikit-learn, compressed as `compress` says."""
    kind = CompressedMLPClassifier if is_classifier(estimator) else CompressedMLPRegressor
    given = {name: value for name, value in arguments.items() if not any(value is idle for idle in (None, False, ...))}
    new = kind(estimator, given, data is not None)
    new.estimator_ = estimator
    if isinstance(data, tuple) and len(data) == 2 and is_classifier(estimator) and np.ndim(data[1]) == 1:
        data = data[0], _numbers(estimator.classes_, np.asarray(data[1]))
    return new._compress(data)


def _numbers(classes, labels):
    """Return the numbers of classes, which are sorted."""
    found = np.searchsorted(classes, labels).clip(max=len(classes) - 1)
    if (unknown := labels[classes[found] != labels]).size:
        raise SSHMLError(f"the label {unknown[0]!r} is none of the classes {list(classes)} of this estimator.")
    return found
