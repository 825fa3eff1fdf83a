"""The scikit-learn classifier: one network, trained with the training loop of the studies."""

from __future__ import annotations

import copy
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Self

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from sklearn.utils import check_array, check_random_state
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import validate_data

from pipeline.data import Dataset, Split
from pipeline.data.dataset import transformed
from pipeline.data.preprocessing import learn
from pipeline.data.rows import check_cells, dense
from pipeline.data.transform import Transform
from pipeline.errors import UserError
from pipeline.estimator.prediction import NUMBERS, input_size, transform_of
from pipeline.estimator.predictor import Predictor
from pipeline.estimator.settings import HYPERPARAMETERS, check_same, plain
from pipeline.estimator.trial_training import Monitor, Patience, check_finite, curves_of
from pipeline.nn.layers import Array
from pipeline.nn.network import Network, set_dropout
from pipeline.study.hparams import HyperParams, TrainConfig
from pipeline.training import TrainingRecord, run_epochs
from pipeline.training.inputs import check_weights
from pipeline.training.lockstep import Tile, make_tiles
from pipeline.training.metrics import TRAIN_LOSS, VAL_ACCURACY, VAL_LOSS
from pipeline.validation import check_integer, check_number

LEAST_SHARE = 1e-6
"""The least ``validation_fraction``; scikit-learn also requires a held-out row of each class."""


class NumpyNetworkClassifier(Predictor):
    """A neural network, trained by minibatches on the softmax cross-entropy.

    The parameters up to ``t0`` are those of :class:`pipeline.study.hparams.HyperParams`. They have the names that
    studies and records use, so the best point of a search can be passed on unchanged.

    - ``max_iter`` is the number of epochs of :meth:`fit`, and of the learning rate schedule.
    - ``batch_size`` is a number of rows, or ``"auto"``: 64, or all rows if there are fewer.
    - ``preprocessing`` is learned from the training rows, or from those of the first :meth:`partial_fit`.
      ``channel_mean`` and ``conv`` need ``image_shape``, such as (3, 32, 32).
    - ``early_stopping`` holds out ``validation_fraction`` of the rows, stratified. It stops when their accuracy has not
      risen by ``tol`` for ``n_iter_no_change`` epochs, and keeps the weights of the best epoch.
    - Without it, training stops when the training loss has not fallen by ``tol`` for ``n_iter_no_change`` epochs. If
      ``max_iter`` comes first, scikit-learn's ``ConvergenceWarning`` says so.
    - ``n_iter_no_change`` is a number of epochs or ``np.inf``. ``"auto"`` is 10 with early stopping; without, all
      ``max_iter`` epochs are trained, as in a study.
    - ``class_weight`` is ``None``, ``"balanced"``, or a dict from labels to weights; a label that it leaves out has 1.
    - With ``warm_start``, :meth:`fit` continues for up to ``max_iter`` epochs from the network, the optimizer's state and
      the preprocessing of the fit before. With ``verbose``, it prints a line for each epoch.
    - ``random_state`` determines the weights, dropout, the order of the rows, and which rows are held out.

    A row's weight in the training loss is its ``sample_weight`` times that of its class, divided by the mean over all
    rows (:func:`pipeline.training.minibatches.weighted`). Rows of weight 0 are left out. Preprocessing, batch norm and
    held-out scores do not use the weights. Rows ``X`` may be sparse: training converts all of them to an array,
    prediction 128 at a time.

    Fitted attributes are ``classes_``, ``n_iter_`` (the epochs so far), ``loss_curve_`` (the mean weighted training loss
    of each epoch, without penalties) and, with early stopping, ``validation_loss_curve_`` and ``validation_scores_``,
    the accuracies (else ``None``). ``coefs_``, ``intercepts_`` and ``best_loss_`` are those of ``MLPClassifier``. All
    stored attributes are plain: numbers, text, lists, arrays and NumPy's generators. A fit that fails leaves the
    estimator unchanged.

    The last bits of a row's logit, and so of its probabilities, can depend on the row's position among the rows that are
    predicted together. GELU is its tanh form.
    """

    __module__ = "pipeline.estimator"  # the path by which pickle and skops store the class

    @classmethod
    def of_record(cls, record: TrainingRecord, hparams: HyperParams, data: Dataset, config: TrainConfig) -> Self:
        """Return a fitted estimator of the checkpoint of the only trial in a record, which has not diverged.

        ``hparams``, ``data`` (from :func:`pipeline.data.load_block`) and ``config`` are what it was trained with.
        """
        settings = {name: getattr(hparams, name) for name in HYPERPARAMETERS}
        config = hparams.configured(config)
        settings |= {name: getattr(config, name) for name in ("batch_size", "preprocessing", "dtype")}
        estimator = cls(**settings, max_iter=config.epochs, image_shape=data.shape, random_state=hparams.seed)
        estimator.classes_ = labels_of(data.class_names or [str(label) for label in range(data.classes)])
        network, basis = record.checkpoint, data.transform.basis
        estimator.n_features_in_ = network.layers[0].input_size if basis is None else len(basis)
        estimator._reset(data.transform)
        estimator._store_network(network)
        estimator._store_curves(curves_of(record), validated=True)
        return estimator

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Train a network on rows X (N, D) with labels y (N,) and weights (N,): a new one unless ``warm_start`` is set."""
        first = not (self.warm_start and hasattr(self, "parameters_"))
        with all_or_nothing(self):
            patience = Patience(*self._patience())
            X, y = self._read(X, y, reset=first)
            self._name_classes(y if first else None, first=first)
            train, val = self._hold_out(self._weigh(X, y, sample_weight))
            if first:
                self._reset(learn(self.preprocessing, train.inputs, self._shape()))
            self._train_epochs(train, val, self.max_iter, patience)
        if not (self.early_stopping or patience.ended or np.isinf(patience.epochs)):
            message = f"max_iter: {self.max_iter} epochs ended before the training loss stopped falling. Give more"
            warnings.warn(message, ConvergenceWarning, stacklevel=2)
        return self

    def partial_fit(self, X: Any, y: Any, classes: Any = None, sample_weight: Any = None) -> Self:
        """Train for one epoch on rows X (N, D) with labels y (N,) and weights (N,). The first call needs all ``classes``.

        ``max_iter`` calls with the same rows give the same bits as :meth:`fit`. Nothing stops early. Weights are
        relative to the other rows of the call.
        """
        if self.early_stopping:
            raise UserError("early_stopping: got True; partial_fit trains for one epoch. Call fit, or leave it out")
        if isinstance(self.class_weight, str) and self.class_weight == "balanced":
            raise UserError("class_weight: got 'balanced'; partial_fit sees a part of the rows. Give a dict of weights")
        first = not hasattr(self, "parameters_")
        with all_or_nothing(self):
            X, y = self._read(X, y, reset=first)
            self._name_classes(classes, first=first)
            rows = self._weigh(X, y, sample_weight)
            if first:
                self._reset(learn(self.preprocessing, rows.inputs, self._shape()))
            self._train_epochs(rows, rows.empty, 1, Patience(np.inf, 0.0))
        return self

    def _read(self, X: Any, y: Any, *, reset: bool) -> tuple[Array, Array]:
        """Return rows and labels as arrays; scikit-learn raises an error for types that cannot be learned from."""
        X, y = validate_data(self, X, y, accept_sparse="csr", dtype=NUMBERS, reset=reset)
        X = dense(X)
        check_cells("X", X)
        check_classification_targets(y)
        return X, y

    def _weigh(self, X: Array, y: Array, sample_weight: Any) -> Split:
        """Return rows with their labels and weights, without those of weight 0."""
        labels, weights = encode(y, self.classes_), None
        if sample_weight is not None:
            weights = check_array(sample_weight, dtype="float64", ensure_2d=False, input_name="sample_weight")
            check_weights("sample_weight", weights, len(X))
        by_class = self._class_weights(self.classes_.tolist())
        if by_class is not None:
            weights = by_class[labels] if weights is None else weights * by_class[labels]
            check_weights("class_weight", weights, len(X))
        rows = Split(X, labels, weights)
        return rows if weights is None else rows.take(weights > 0)

    def _name_classes(self, classes: Any, *, first: bool) -> None:
        if first and classes is None:
            raise UserError("classes: got None; the first call to partial_fit needs all classes")
        if first:
            self.classes_ = np.unique(classes)
            if len(self.classes_) < 2:
                raise UserError(
                    f"y: got one class, {plain(self.classes_[0])!r}; expected at least two. Name them all in classes"
                )
        elif classes is not None and not np.array_equal(np.unique(classes), np.unique(self.classes_)):
            raise UserError(f"classes: got {classes!r}; expected those of the first call, {self.classes_.tolist()!r}")

    def _hold_out(self, rows: Split) -> tuple[Split, Split]:
        """Return the rows to train on and the held-out rows, which are empty without early stopping."""
        if not self.early_stopping:
            return rows, rows.empty
        check_number("validation_fraction", plain(self.validation_fraction), low=LEAST_SHARE, below=1.0)
        places = np.arange(len(rows))
        parts = train_test_split(
            places, test_size=self.validation_fraction, stratify=rows.labels, random_state=self.random_state
        )
        train, val = (rows.take(part) for part in map(np.sort, parts))
        return train, val

    def _reset(self, transform: Transform) -> None:
        """Set the attributes of an estimator that is about to train, except the classes and columns."""
        given = isinstance(self.random_state, (int, np.integer))
        if given:
            check_integer("random_state", int(self.random_state), low=0)
        self.seed_ = int(self.random_state if given else check_random_state(self.random_state).randint(2**31 - 1))
        self.built_ = self._build()
        self.offset_, self.scale_, self.basis_ = transform.offset, transform.scale, transform.basis
        self.parameters_: Array | None = None
        self.statistics_: Array | None = None
        self.renew()
        self.n_iter_, self.loss_curve_ = 0, list[float]()
        self.validation_loss_curve_: list[float] | None = None
        self.validation_scores_: list[float] | None = None

    def renew(self) -> None:
        """Reset what further training continues from: the optimizer's state, and the generators of dropout and row order."""
        self.order_ = np.random.default_rng(self.seed_)
        self.memory_: dict[str, Any] | None = None
        self.steps_ = 0
        self.generators_: Sequence[np.random.Generator] = ()

    def _train_epochs(self, train: Split, val: Split, epochs: int, patience: Patience) -> None:
        """Train the current network, or a new one, for further epochs."""
        hparams, config = self._hyperparams(), self._config(len(train))
        ready = [transformed(rows, transform_of(vars(self)), config.dtype) for rows in (train, val, train.empty)]
        data = Dataset(ready[0], ready[1], ready[2], len(self.classes_))
        tile, order = self._tile(hparams, config), copy.deepcopy(self.order_)
        start = self.n_iter_ + 1
        monitor = Monitor(patience, validated=len(val) > 0, verbose=bool(self.verbose))
        record = run_epochs([tile], data, config, order, epochs=range(start, start + epochs), after=monitor)
        check_finite(record, hparams)
        self._store_curves(curves_of(record), validated=len(val) > 0)
        self._store_network(record.checkpoint if len(val) else tile.network)
        self.order_, self.memory_, self.generators_ = order, tile.optimizer.state, tile.network.generators
        self.steps_ = tile.steps

    def _tile(self, hparams: HyperParams, config: TrainConfig) -> Tile:
        """Return the network in training: a new one, or the current one with its optimizer's state and generators."""
        check_same(self.built_, self._build())
        (tile,) = make_tiles([hparams], input_size(vars(self)), len(self.classes_), config, self._shape())
        if self.parameters_ is not None:
            tile.network.params.values[0], tile.network.stats.values[0] = self.parameters_, self.statistics_
            set_dropout(tile.network, [hparams.dropout])
        if self.memory_ is not None:
            tile.optimizer.state = copy.deepcopy(self.memory_)
            tile.network.generators = copy.deepcopy(self.generators_)
            tile.steps = self.steps_
        return tile

    def _store_network(self, network: Network) -> None:
        self.parameters_, self.statistics_ = network.params.values[0].copy(), network.stats.values[0].copy()

    def _store_curves(self, curves: Mapping[str, Sequence[float]], *, validated: bool) -> None:
        """Append the curves of further epochs."""
        self.loss_curve_ = [*self.loss_curve_, *curves[TRAIN_LOSS]]
        self.n_iter_ = len(self.loss_curve_)
        if validated:
            self.validation_loss_curve_ = [*(self.validation_loss_curve_ or []), *curves[VAL_LOSS]]
            self.validation_scores_ = [*(self.validation_scores_ or []), *curves[VAL_ACCURACY]]


@contextmanager
def all_or_nothing(estimator: object) -> Iterator[None]:
    """Restore an estimator's attributes if the body raises."""
    before = vars(estimator).copy()
    try:
        yield
    except BaseException:
        vars(estimator).clear()
        vars(estimator).update(before)
        raise


def encode(y: Array, classes: Array) -> Array:
    """Return labels (N,) as their positions in the classes (C,). Raises :class:`UserError` for an unknown label."""
    unknown = y[~np.isin(y, classes)]
    if len(unknown):
        raise UserError(f"y: got {unknown[:1].tolist()[0]!r}; expected one of the classes {classes.tolist()!r}")
    order = np.argsort(classes)
    return np.asarray(order[np.searchsorted(classes, y, sorter=order)])


def labels_of(names: Sequence[str]) -> Array:
    """Return the labels of classes: numbers if all names are written like ``-1`` or ``10``, else the names."""
    numbers = all(re.fullmatch("0|-?[1-9][0-9]*", name) for name in names)
    return np.array([int(name) for name in names] if numbers else list(names))
