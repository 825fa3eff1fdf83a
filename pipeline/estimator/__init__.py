"""A scikit-learn classifier over the same core: one network, trained by the loop that studies train with."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np
from sklearn.base import ClassifierMixin
from sklearn.model_selection import train_test_split
from sklearn.utils import check_random_state
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from pipeline.data import Dataset, Split
from pipeline.data.dataset import transformed
from pipeline.data.preprocessing import learn
from pipeline.data.rows import check_cells
from pipeline.data.transform import Transform
from pipeline.errors import UserError
from pipeline.estimator.built import check_same
from pipeline.estimator.labels import encode, labels_of
from pipeline.estimator.prediction import NUMBERS, probabilities, transform_of, width
from pipeline.estimator.progress import Patience, check_finite, curves_of, train_one
from pipeline.estimator.settings import HYPERPARAMETERS, Settings
from pipeline.estimator.state import all_or_nothing, plain
from pipeline.nn.layers import Array
from pipeline.nn.network import Network, set_dropout
from pipeline.study.hparams import HyperParams, TrainConfig
from pipeline.training import CURVES, Record, Watch, all_go_on, run
from pipeline.training.lockstep import Tile, make_tiles
from pipeline.validation import check_flag, check_integer, check_number

NO_CURVES: Mapping[str, Sequence[float]] = {}
LEAST_SHARE = 1e-6
"""Of the rows, for ``validation_fraction``; what is asked of it beyond that is a row of each class."""


class NumpyNetworkClassifier(ClassifierMixin, Settings):  # type: ignore[misc]  # scikit-learn has no types
    """A neural network of dense layers, trained by minibatches on the softmax cross-entropy.

    The parameters down to ``conv`` are those of :class:`pipeline.study.hparams.HyperParams`, by the names that they have
    in studies and records, so that the best point of a search can be given as it is.

    - ``max_iter`` counts the epochs that :meth:`fit` takes, and those that schedules run over.
    - ``batch_size`` is a number of rows, or ``"auto"``: 64, or all rows where there are fewer.
    - ``preprocessing`` is learned from the training rows, or from those of the first :meth:`partial_fit`; ``image_shape``,
      (3, 32, 32) for one, is what ``channel_mean`` and ``conv`` need.
    - ``early_stopping`` holds out ``validation_fraction`` of the rows, stratified, stops when their accuracy has not risen
      by ``tol`` for ``n_iter_no_change`` epochs, and keeps the weights of the best epoch.
    - ``random_state`` decides the weights, dropout, the order of the rows, and which are held out.

    Fitted, it has ``classes_``, ``n_iter_``, ``loss_curve_`` (the mean training loss of each epoch) and, with
    early stopping, ``validation_loss_curve_`` and ``validation_scores_``, the accuracies (else ``None``). All that it
    remembers is plain: numbers, text, lists, arrays and NumPy's generators. A fit that fails leaves it as it was.
    """

    @classmethod
    def from_trained(
        cls,
        hparams: HyperParams,
        config: TrainConfig,
        network: Network,
        transform: Transform,
        *,
        classes: Sequence[Any] | Array,
        curves: Mapping[str, Sequence[float]] = NO_CURVES,
        image_shape: tuple[int, ...] = (),
    ) -> Self:
        """A fitted estimator of one trained network (K = 1), what its inputs go through, and its C classes.

        ``curves`` are those of the trial, by their metric keys; without them, ``loss_curve_`` is empty.
        """
        settings = {name: getattr(hparams, name) for name in HYPERPARAMETERS}
        settings |= {name: getattr(config, name) for name in ("batch_size", "preprocessing", "dtype")}
        made = cls(**settings, max_iter=config.epochs, image_shape=image_shape, random_state=hparams.seed)
        made.classes_ = np.asarray(classes)
        made.n_features_in_ = network.layers[0].reads if transform.basis is None else len(transform.basis)
        made._begin(transform)
        made._keep_network(network)
        made._keep_curves(curves or dict.fromkeys(CURVES, ()), validated=bool(curves))
        made.n_iter_ = made.n_iter_ or config.epochs
        return made

    @classmethod
    def of_record(cls, record: Record, hparams: HyperParams, data: Dataset, config: TrainConfig) -> Self:
        """A fitted estimator of the checkpoint of the one trial in a record, which trained on that block of data."""
        names = labels_of(data.class_names or [str(label) for label in range(data.classes)])
        return cls.from_trained(
            hparams,
            config,
            record.checkpoint,
            data.transform,
            classes=names,
            curves=curves_of(record),
            image_shape=data.shape,
        )

    @classmethod
    def of_trial(cls, hparams: HyperParams, data: Dataset, config: TrainConfig, order_seed: int = 0) -> Self:
        """A fitted estimator of a trial's checkpoint, whose network is trained once more, to the same bits.

        ``data`` is a block of :func:`pipeline.data.load_block`. Raises :class:`UserError` for a trial that diverges.
        """
        return cls.of_record(train_one(hparams, data, config, order_seed), hparams, data, config)

    def fit(self, X: Any, y: Any) -> Self:
        """Train a new network on rows X (N, D) with labels y (N,)."""
        with all_or_nothing(self):
            X, y = self._read(X, y, reset=True)
            self._name_classes(y, first=True)
            train, val = self._hold_out(Split(X, encode(y, self.classes_)))
            self._begin(learn(self.preprocessing, train.inputs, self._shape()))
            watch = Patience(self.n_iter_no_change, self.tol) if self.early_stopping else all_go_on
            self._train(train, val, self.max_iter, watch)
        return self

    def partial_fit(self, X: Any, y: Any, classes: Any = None) -> Self:
        """Train for one epoch over these rows. The first call needs all ``classes`` that there will ever be.

        Called ``max_iter`` times with the same rows, it does what :meth:`fit` does, to the bit. It does not stop early.
        """
        if self.early_stopping:
            raise UserError("early_stopping: got True; partial_fit trains for one epoch. Call fit, or leave it out")
        first = not hasattr(self, "parameters_")
        with all_or_nothing(self):
            X, y = self._read(X, y, reset=first)
            self._name_classes(classes, first=first)
            rows = Split(X, encode(y, self.classes_))
            if first:
                self._begin(learn(self.preprocessing, X, self._shape()))
            self._train(rows, rows.empty, 1, all_go_on)
        return self

    def predict(self, X: Any) -> Array:
        """The most probable class of each row, (N,)."""
        places = self.predict_proba(X).argmax(axis=1)
        return np.asarray(self.classes_[places])

    def predict_proba(self, X: Any) -> Array:
        """The probability of each class for each row, (N, C), in the order of ``classes_``."""
        check_is_fitted(self)
        X = validate_data(self, X, dtype=NUMBERS, reset=False)
        check_cells("X", X)
        return probabilities(vars(self), X)

    def _read(self, X: Any, y: Any, *, reset: bool) -> tuple[Array, Array]:
        """Rows and labels of types that can be learned from, or scikit-learn's words on what is wrong with them."""
        X, y = validate_data(self, X, y, dtype=NUMBERS, reset=reset)
        check_cells("X", X)
        check_classification_targets(y)
        return X, y

    def _name_classes(self, classes: Any, *, first: bool) -> None:
        if first and classes is None:
            raise UserError("classes: got None; the first call to partial_fit needs all that there will ever be")
        if first:
            self.classes_ = np.unique(classes)
            if len(self.classes_) < 2:
                raise UserError(f"y: got one class, {plain(self.classes_[0])!r}; expected at least two")
        elif classes is not None and not np.array_equal(np.unique(classes), np.unique(self.classes_)):
            raise UserError(f"classes: got {classes!r}; expected those of the first call, {self.classes_.tolist()!r}")

    def _hold_out(self, rows: Split) -> tuple[Split, Split]:
        """The rows to train on, and those to stop by, which are none without early stopping."""
        check_flag("early_stopping", plain(self.early_stopping))
        if not self.early_stopping:
            return rows, rows.empty
        check_number("validation_fraction", plain(self.validation_fraction), low=LEAST_SHARE, below=1.0)
        check_integer("n_iter_no_change", plain(self.n_iter_no_change), low=1)
        check_number("tol", plain(self.tol), low=0.0)
        places = np.arange(len(rows))
        parts = train_test_split(
            places, test_size=self.validation_fraction, stratify=rows.labels, random_state=self.random_state
        )
        train, val = (Split(rows.inputs[part], rows.labels[part]) for part in map(np.sort, parts))
        return train, val

    def _begin(self, transform: Transform) -> None:
        """Forget all but the classes and the columns."""
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

    def __setstate__(self, state: Any) -> None:
        super().__setstate__(state)
        if hasattr(self, "parameters_") and not hasattr(self, "built_"):
            self.built_ = self._build()  # an older version saved none: its networks were built as they are set

    def renew(self) -> None:
        """Begin anew what further training remembers and draws from: what the optimizer keeps, and the order of the rows."""
        self.order_ = np.random.default_rng(self.seed_)
        self.memory_: dict[str, Any] | None = None
        self.generators_: Sequence[np.random.Generator] = ()

    def _train(self, train: Split, val: Split, epochs: int, watch: Watch) -> None:
        """Take the network that there is, or a new one, through so many epochs more."""
        hparams, config = self._hyperparams(), self._config(len(train))
        ready = [transformed(rows, self._transform, config.dtype) for rows in (train, val, train.empty)]
        data = Dataset(ready[0], ready[1], ready[2], len(self.classes_))
        tile, order = self._tile(hparams, config), copy.deepcopy(self.order_)
        start = self.n_iter_ + 1
        record = run([tile], data, config, order, watch=watch, epochs=range(start, start + epochs))
        check_finite(record, hparams)
        self._keep_curves(curves_of(record), validated=len(val) > 0)
        self._keep_network(record.checkpoint if len(val) else tile.network)
        self.order_, self.memory_, self.generators_ = order, tile.optimizer.memory, tile.network.generators

    def _tile(self, hparams: HyperParams, config: TrainConfig) -> Tile:
        """The network in training: freshly drawn, or with all that it remembers."""
        check_same(self.built_, self._build())
        (tile,) = make_tiles([hparams], self._width, len(self.classes_), config, self._shape())
        if self.parameters_ is not None:
            tile.network.params.values[0], tile.network.stats.values[0] = self.parameters_, self.statistics_
            set_dropout(tile.network, [hparams.dropout])
        if self.memory_ is not None:
            tile.optimizer.memory = copy.deepcopy(self.memory_)
            tile.network.generators = copy.deepcopy(self.generators_)
        return tile

    def _keep_network(self, network: Network) -> None:
        self.parameters_, self.statistics_ = network.params.values[0].copy(), network.stats.values[0].copy()

    def _keep_curves(self, curves: Mapping[str, Sequence[float]], *, validated: bool) -> None:
        """Add the losses of the last epochs; those of validation rows are those of all epochs."""
        self.loss_curve_ = [*self.loss_curve_, *curves["train/loss"]]
        self.n_iter_ = len(self.loss_curve_)
        if validated:
            self.validation_loss_curve_, self.validation_scores_ = (
                list(curves["val/loss"]),
                list(curves["val/accuracy"]),
            )

    @property
    def _transform(self) -> Transform:
        return transform_of(vars(self))

    @property
    def _width(self) -> int:
        """How many inputs the network has, after preprocessing."""
        return width(vars(self))
