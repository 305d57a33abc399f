"""What scikit-learn asks of every estimator, without scikit-learn.

https://scikit-learn.org/stable/developers/develop.html. Where scikit-learn is at work it has been
imported already: its own types are then taken from `sys.modules`, and it is never loaded from here.
"""

# np.random in annotations would import it, a tenth of this package's own import time.
from __future__ import annotations

import importlib
import inspect
import sys
import warnings
from abc import abstractmethod
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from kmeans_c.checks import as_array, as_points, check_choice, check_int

CONTAINERS = ("default", "pandas", "polars")
SHOWN_NAMES = 5


class NotFittedError(ValueError, AttributeError):
    """A result was asked for before `fit`."""


class ConvergenceWarning(UserWarning):
    """The clusters found are not what was asked for."""


class Estimator:
    """Parameters, feature names, tags and output containers of a transformer.

    Parameters are the arguments of `__init__`, which only stores them under their names.
    """

    n_features_in_: int
    feature_names_in_: NDArray[Any]

    def get_params(self, deep: bool = True) -> dict[str, Any]:  # noqa: ARG002 - none is an estimator
        """Return the arguments that the estimator was made with, by name."""
        return {name: getattr(self, name) for name in _defaults(type(self))}

    def set_params(self, **params: Any) -> Self:
        """Change arguments that the estimator was made with; what was fitted stays.

        Raises
        ------
        ValueError
            If there is no such argument.
        """
        known = list(_defaults(type(self)))
        for name in params:
            if name not in known:
                raise ValueError(f"{name}: not a parameter of {self}; those are {known}")
        for name, value in params.items():
            setattr(self, name, value)
        return self

    def __repr__(self) -> str:
        changed = [
            f"{name}={getattr(self, name)!r}"
            for name, default in _defaults(type(self)).items()
            if repr(getattr(self, name)) != repr(default)
        ]
        return f"{type(self).__name__}({', '.join(changed)})"

    def set_output(self, *, transform: str | None = None) -> Self:
        """Choose what `transform` and `fit_transform` return.

        Parameters
        ----------
        transform : {"default", "pandas", "polars"} or None
            An array, or a data frame of that library. None changes nothing.

        Raises
        ------
        TypeError, ValueError
            If it is no str, or another word.
        """
        if transform is None:
            return self
        check_choice("transform", transform, CONTAINERS)
        # sklearn.base.clone hands on what has this name.
        self._sklearn_output_config = {"transform": transform}
        return self

    def get_feature_names_out(self, input_features: ArrayLike | None = None) -> NDArray[Any]:
        """Return the names of the columns that `transform` returns.

        Parameters
        ----------
        input_features : (D,) array_like of str, optional
            Only compared with what `fit` has seen.
        """
        n_features, known = self._fitted_features()
        if input_features is not None:
            names = as_array("input_features", input_features, object)
            if names.ndim != 1:
                raise ValueError(f"input_features: expected a list, got shape {names.shape}")
            if known is not None and not np.array_equal(known, names):
                raise ValueError("input_features is not equal to feature_names_in_")
            if len(names) != n_features:
                raise ValueError(
                    f"input_features should have length equal to number of features "
                    f"({n_features}), got {len(names)}"
                )
        prefix = type(self).__name__.lower()
        return np.array([f"{prefix}{k}" for k in range(self._n_features_out)], dtype=object)

    def __sklearn_tags__(self) -> Any:
        utils: Any = sys.modules["sklearn.utils"]  # only scikit-learn asks
        return utils.Tags(
            estimator_type="clusterer",
            target_tags=utils.TargetTags(required=False),
            transformer_tags=utils.TransformerTags(preserves_dtype=["float64", "float32"]),
            input_tags=utils.InputTags(sparse=False),
        )

    @property
    @abstractmethod
    def _n_features_out(self) -> int:
        """How many columns `transform` gives."""

    def _check_fitted(self) -> None:
        if not hasattr(self, "n_features_in_"):
            kind = _scikit_learn("sklearn.exceptions", NotFittedError)
            raise kind(f"this {type(self).__name__} is not fitted yet: call fit first")

    def _fitted_features(self) -> tuple[int, NDArray[Any] | None]:
        """Return how many features were fitted, and their names: anyone may have set them."""
        self._check_fitted()
        n_features = check_int("n_features_in_", self.n_features_in_, 1)
        known: Any = getattr(self, "feature_names_in_", None)
        if known is not None:
            if not isinstance(known, np.ndarray) or known.dtype.kind not in "OU":
                kind = type(known).__name__
                raise TypeError(f"feature_names_in_: expected an array of str, got {kind}")
            if known.shape != (n_features,):
                raise ValueError(
                    f"feature_names_in_: expected shape ({n_features},), got {known.shape}"
                )
            if not all(isinstance(name, str) for name in known):
                raise TypeError("feature_names_in_: expected an array of str, got other objects")
        return n_features, known

    def _fitted_samples(self, X: Any) -> NDArray[Any]:
        """`as_samples` of what was fitted for: as many features, of the same names."""
        n_features, known = self._fitted_features()
        _compare_names(type(self).__name__, known, names_of(X))
        samples = as_samples(X)
        if samples.shape[1] != n_features:
            raise ValueError(
                f"X has {samples.shape[1]} features, but {type(self).__name__} is expecting "
                f"{n_features} features as input"
            )
        return samples

    def _contained(self, result: NDArray[Any], X: Any) -> Any:
        """The result of `transform` in the container that `set_output` or scikit-learn chose."""
        chosen = getattr(self, "_sklearn_output_config", {}).get("transform")
        if chosen is None:
            sklearn: Any = sys.modules.get("sklearn")
            chosen = sklearn.get_config()["transform_output"] if sklearn else "default"
        if chosen == "default":
            return result
        library = importlib.import_module(chosen)
        if chosen == "polars":
            return library.DataFrame(
                result, schema=list(self.get_feature_names_out()), orient="row"
            )
        index = X.index if isinstance(X, library.DataFrame) else None
        columns = self.get_feature_names_out()
        return library.DataFrame(result, index=index, columns=columns, copy=False)


def warn_convergence(message: str) -> None:
    """Warn with scikit-learn's ConvergenceWarning where it is loaded, else with our own."""
    kind = _scikit_learn("sklearn.exceptions", ConvergenceWarning)
    warnings.warn(message, kind, stacklevel=3)


def as_samples(X: Any) -> NDArray[Any]:
    """(N, D) data as `checks.as_points` returns it, in float32 or float64.

    float32 stays, everything else becomes float64: integers, bools, and objects that are numbers.
    """
    sparse = sys.modules.get("scipy.sparse")
    if sparse is not None and sparse.issparse(X):
        raise TypeError("X: sparse input is not supported, expected a dense array: X.toarray()")
    array = as_array("X", X)
    if array.dtype.kind == "c":
        raise ValueError("X: expected real numbers, got complex ones. Complex data not supported")
    if array.dtype.kind not in "biufO":
        raise TypeError(f"X: expected numbers, got dtype {array.dtype}")
    if array.ndim != 2:
        raise ValueError(
            f"X: expected a 2-dimensional array, got {array.ndim} dimensions. Reshape your data: "
            "X.reshape(-1, 1) where it is one feature, X.reshape(1, -1) where it is one sample"
        )
    for axis, name in enumerate(("sample", "feature")):
        if not array.shape[axis]:
            raise ValueError(
                f"X: found array with 0 {name}(s) (shape={array.shape}) while a minimum of 1 is "
                "required."
            )
    if array.dtype == np.float32:
        return as_points("X", array)
    try:
        array = array.astype(np.float64)
    except (TypeError, ValueError, OverflowError) as error:  # objects that are no numbers
        kind = TypeError if isinstance(error, TypeError) else ValueError
        raise kind(f"X: {error}") from None
    return as_points("X", array)


def as_sample_weights(sample_weight: Any, rows: int) -> NDArray[np.float64] | None:
    """(rows,) float64 weights, not negative and not all 0; None where none are given.

    A single number stands for as many of it.
    """
    if sample_weight is None:
        return None
    array = as_array("sample_weight", sample_weight)
    if array.dtype.kind not in "biufO":
        raise TypeError(f"sample_weight: expected numbers, got dtype {array.dtype}")
    if array.shape not in ((), (rows,)):
        raise ValueError(f"sample_weight: expected shape ({rows},), got {array.shape}")
    # A copy: nobody can change it once it is checked.
    weights: NDArray[np.float64] = np.empty(rows)
    try:
        weights[:] = array
    except (TypeError, ValueError, OverflowError):  # objects
        kinds = {type(weight).__name__: None for weight in array.reshape(-1)[:SHOWN_NAMES]}
        raise TypeError(f"sample_weight: expected numbers, got {', '.join(kinds)}") from None
    if not np.isfinite(weights).all() or weights.min() < 0:
        raise ValueError("sample_weight: expected finite weights of at least 0")
    if not weights.any():
        raise ValueError("sample_weight: expected a weight above zero, all are zero")
    return weights


def as_seed(random_state: Any) -> Any:
    """A seed for `seeding.Draw`: an int, None or a Generator, or what a RandomState draws next."""
    if isinstance(random_state, np.random.RandomState):
        return int.from_bytes(random_state.bytes(16), "little")
    known = int | np.integer | np.random.Generator | None
    if isinstance(random_state, bool) or not isinstance(random_state, known):
        kind = type(random_state).__name__
        raise TypeError(
            f"random_state: expected an int, a RandomState, a Generator or None, got {kind}"
        )
    if isinstance(random_state, int | np.integer) and random_state < 0:
        raise ValueError(f"random_state: expected at least 0, got {random_state}")
    return random_state


def names_of(X: Any) -> NDArray[Any] | None:
    """The names of a data frame's columns, if they are all str; None for anything else."""
    columns = getattr(X, "columns", None)
    if columns is None:
        return None
    names = np.asarray(columns, dtype=object)
    kinds = {isinstance(name, str) for name in names}
    if kinds == {True, False}:
        raise TypeError(
            "X: feature names are only supported if all input features have string names; "
            "X.columns = X.columns.astype(str) makes them so"
        )
    return names if kinds == {True} else None


def _compare_names(estimator: str, fitted: NDArray[Any] | None, given: NDArray[Any] | None) -> None:
    if fitted is None and given is None:
        return
    if fitted is None or given is None:
        told = (
            f"X has feature names, but {estimator} was fitted without feature names"
            if fitted is None
            else f"X does not have valid feature names, but {estimator} was fitted with "
            "feature names"
        )
        warnings.warn(told, UserWarning, stacklevel=4)
    elif not np.array_equal(fitted, given):
        told = "The feature names should match those that were passed during fit.\n"
        unseen, missing = sorted(set(given) - set(fitted)), sorted(set(fitted) - set(given))
        told += _listed("Feature names unseen at fit time:\n", unseen)
        told += _listed("Feature names seen at fit time, yet now missing:\n", missing)
        if not unseen and not missing:
            told += "Feature names must be in the same order as they were in fit.\n"
        raise ValueError(told)


def _listed(title: str, names: list[str]) -> str:
    lines = [f"- {name}\n" for name in names[:SHOWN_NAMES]]
    more = ["- ...\n"] if len(names) > SHOWN_NAMES else []
    return "".join([title, *lines, *more]) if names else ""


def _defaults(cls: type) -> dict[str, Any]:
    """The parameters of `cls`, by name, and their defaults."""
    arguments = inspect.signature(cls).parameters.values()
    return {argument.name: argument.default for argument in arguments}


def _scikit_learn(module: str, own: type[Any]) -> type[Any]:
    """The class of the same name in a module of scikit-learn's, where that is loaded."""
    return getattr(sys.modules.get(module), own.__name__, own)
