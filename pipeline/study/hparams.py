"""The hyperparameters of a trial, and the settings that all trials of a study share."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any

from pipeline.errors import UserError
from pipeline.nn.activations import ACTIVATIONS
from pipeline.nn.conv_text import parse_conv
from pipeline.nn.initializers import DISTRIBUTIONS, INITIALIZERS, Initializer
from pipeline.nn.optimizers import OPTIMIZERS
from pipeline.nn.schedules import SCHEDULES, Schedule
from pipeline.study.metrics import ACCURACY, Metric, find_metric
from pipeline.validation import check_choice, check_flag, check_integer, check_number

PREPROCESSING_NAMES = ("none", "centre", "standardise", "min_max", "mean_image", "channel_mean", "pca", "whiten")
"""The transforms of the inputs; ``pipeline.data.preprocessing`` defines them."""

EPOCHS_LIMIT = 100_000
"""The most epochs; the curves of more would not fit into memory."""
WIDEST = 10_000_000
"""The most units of a layer: the arrays of a wider one would fit into no memory."""

CLASS_WEIGHTS = ("none", "balanced")
"""How classes are weighted in the training loss; ``pipeline.training.minibatches.weighted`` has the formula."""

LATER = {"later": True}
"""The metadata of a field that is newer than the first recorded studies; see :func:`plain_fields`."""


@dataclass(frozen=True)
class HyperParams:
    """The hyperparameters of one trial: all that may be searched, and the seed of its weights and dropout.

    Trials of the same :attr:`structure` train in one lockstep group. A regulariser, a clip or a warm-up of 0 is off.

    Parameters
    ----------
    learning_rate
        The step size at the start of training, at least 0. Default 0.1.
    l2
        The factor λ of the penalty ½·λ·ΣW² on the weights; biases and the parameters of norms have none. With ``adamw``,
        its decoupled weight decay. Default 0.
    momentum
        The momentum of ``sgd`` and ``nesterov``, from 0 to below 1. Default 0.
    activation
        A name in ``ACTIVATIONS``; ``"gelu"`` is GELU's tanh form. Default ``"relu"``.
    init
        A name in ``INITIALIZERS``, or the standard deviation of the weights. Default ``"he"``.
    batch_norm
        True for batch norm before each activation. Default False.
    hidden
        The units of each hidden layer, as integers or as text like ``"100x50"``. Default ``(50,)``.
    seed
        The seed of the weights and of dropout; it is derived from the study's seed and is never searched. Default 0.
    layer_norm
        True for layer norm before each activation of a hidden layer. Default False.
    dropout
        The share of hidden units that is set to zero in training, from 0 to below 1. Default 0.
    l1
        The factor λ of the penalty λ·Σ|W| on the weights. Default 0.
    max_norm
        The largest norm of the weights into a unit. Default 0, no limit.
    label_smoothing
        The share of a target that is spread over all classes, from 0 to below 1. Default 0.
    optimizer
        A name in ``OPTIMIZERS``. Default ``"sgd"``.
    beta1, beta2
        The decay rates of the two moments of ``adam`` and ``adamw``, from 0 to below 1. Default 0.9 and 0.999.
    rho
        The decay rate of the squared gradients of ``rmsprop``, from 0 to below 1. Default 0.99.
    epsilon
        The term that keeps the divisor of an adaptive optimizer above 0, at least 1e-30. Default 1e-8.
    clip
        The largest norm of the gradient. Default 0, no limit.
    schedule
        A name in ``SCHEDULES``: how the learning rate falls from epoch to epoch. Default ``"constant"``.
    warmup
        The epochs in which the learning rate rises to its value. Default 0.
    step_factor, step_epochs
        The ``step`` schedule multiplies the rate by ``step_factor`` every ``step_epochs`` epochs. Default 0.5 and 5.
    decay_rate
        The decay by epoch of the ``exponential`` and ``inverse_time`` schedules. Default 0.1.
    conv
        3x3 convolutions before the hidden layers, as text like ``"32x32px64s"``: the filters of each, followed by ``s``
        for a stride of 2 and ``p`` for 2x2 max pooling. Each has the activation and batch norm; layer norm and dropout
        are of the hidden layers only. The hidden layers get the mean of each map. Default ``()``.
    class_weight
        ``"balanced"`` weights the rows in the training loss so that all classes weigh the same in total; validation and
        test scores have no weights. Default ``"none"``.
    init_scale
        A factor of the initial weights. Default 1.
    init_distribution
        ``"normal"`` or ``"uniform"``, of the same standard deviation. Default ``"normal"``.
    batch_size
        The rows of a minibatch. Default 0: the study's ``batch_size``.
    preprocessing
        A name in ``PREPROCESSING_NAMES``. Default ``""``: the study's ``preprocessing``.
    t0
        After this number of steps the rate falls as t0 / step, in addition to the schedule (Bergstra and Bengio 2012).
        Default 0: it does not.
    """

    learning_rate: float = 0.1
    l2: float = 0.0
    momentum: float = 0.0
    activation: str = "relu"
    init: str | float = "he"
    batch_norm: bool = False
    hidden: tuple[int, ...] = (50,)
    seed: int = 0
    layer_norm: bool = False
    dropout: float = 0.0
    l1: float = 0.0
    max_norm: float = 0.0
    label_smoothing: float = 0.0
    optimizer: str = "sgd"
    beta1: float = 0.9
    beta2: float = 0.999
    rho: float = 0.99
    epsilon: float = 1e-8
    clip: float = 0.0
    schedule: str = "constant"
    warmup: int = 0
    step_factor: float = 0.5
    step_epochs: int = 5
    decay_rate: float = 0.1
    conv: tuple[str, ...] = field(default=(), metadata=LATER)
    class_weight: str = field(default="none", metadata=LATER)
    init_scale: float = field(default=1.0, metadata=LATER)
    init_distribution: str = field(default="normal", metadata=LATER)
    batch_size: int = field(default=0, metadata=LATER)
    preprocessing: str = field(default="", metadata=LATER)
    t0: float = field(default=0.0, metadata=LATER)

    def __post_init__(self) -> None:
        object.__setattr__(self, "hidden", parse_hidden(self.hidden))
        object.__setattr__(self, "conv", parse_conv(self.conv))
        for name in ("learning_rate", "l2", "l1", "max_norm", "clip", "decay_rate", "init_scale", "t0"):
            check_number(name, getattr(self, name), low=0.0)
        for name in ("momentum", "dropout", "label_smoothing", "beta1", "beta2", "rho"):
            check_number(name, getattr(self, name), low=0.0, below=1.0)
        check_number("epsilon", self.epsilon, low=1e-30)
        check_number("step_factor", self.step_factor, low=0.0)
        for name, choices in (("activation", ACTIVATIONS), ("optimizer", OPTIMIZERS), ("schedule", SCHEDULES)):
            check_choice(name, getattr(self, name), choices)
        check_choice("class_weight", self.class_weight, CLASS_WEIGHTS)
        check_choice("init_distribution", self.init_distribution, DISTRIBUTIONS)
        if self.preprocessing:
            check_choice("preprocessing", self.preprocessing, PREPROCESSING_NAMES)
        if isinstance(self.init, str):
            check_choice("init", self.init, INITIALIZERS)
        else:
            check_number("init", self.init, low=0.0)
        for name in ("batch_norm", "layer_norm"):
            check_flag(name, getattr(self, name))
        for name, low in (("seed", 0), ("warmup", 0), ("step_epochs", 1), ("batch_size", 0)):
            check_integer(name, getattr(self, name), low=low)

    @property
    def structure(self) -> tuple[object, ...]:
        """The settings that the networks of a lockstep group have in common."""
        switches = ("momentum", "dropout", "l1", "max_norm", "label_smoothing", "clip", "t0")
        used = tuple(name for name in switches if getattr(self, name))
        common = (self.hidden, self.activation, self.batch_norm, self.layer_norm, self.optimizer, used)
        later = (self.conv, self.class_weight, self.batch_size)
        inputs = (("preprocessing", self.preprocessing),) if self.preprocessing else ()
        return (*common, *(value for value in later if value not in ((), "none", 0)), *inputs)

    @property
    def initializer(self) -> Initializer:
        """How the weights are drawn."""
        return Initializer(self.init, self.init_scale, self.init_distribution)

    def configured(self, config: TrainConfig) -> TrainConfig:
        """Return a study's settings with those that this trial has of its own."""
        own = {name: value for name in ("batch_size", "preprocessing") if (value := getattr(self, name))}
        return replace(config, **own) if own else config

    @property
    def optimizer_memories(self) -> int:
        """The number of arrays that the optimizer keeps, each of the size of the parameters."""
        if self.optimizer in ("sgd", "nesterov"):
            return int(self.momentum > 0)
        return OPTIMIZERS[self.optimizer].memories

    def rate_factor(self, epoch: int, epochs: int) -> float:
        """Return the learning rate of an epoch, counted from 0, as a factor of :attr:`learning_rate`."""
        schedule = Schedule(self.schedule, self.warmup, self.step_factor, self.step_epochs, self.decay_rate)
        return schedule.factor(epoch, epochs)


AUTO_BATCH = 64


@dataclass(frozen=True)
class TrainConfig:
    """The settings that all trials of a study share.

    Parameters
    ----------
    epochs
        Passes over the training rows, 1 to 100,000. Default 20.
    batch_size
        Rows of a minibatch. 64, the default and ``"auto"``, means all training rows where there are fewer.
    preprocessing
        A name in ``PREPROCESSING_NAMES``; it is fitted on the training rows. Default ``"standardise"``.
    validation, test
        The shares of the rows in the validation and test splits; the others are the training rows. Default 0.2 each.
    dtype
        The precision of the network's arithmetic, ``"float32"`` or ``"float64"``. Default ``"float32"``.
    augmentation
        How training images are changed: ``"flip"`` mirrors them, ``"crop"`` moves them by up to 4 pixels, ``"flip_crop"``
        does both. Drawn again in each epoch, and alike for the trials of a block. Default ``"none"``.
    metric
        A name in ``METRICS``: what chooses a trial's checkpoint and the study is judged by. Default ``"accuracy"``.
    """

    epochs: int = 20
    batch_size: int = AUTO_BATCH
    preprocessing: str = "standardise"
    validation: float = 0.2
    test: float = 0.2
    dtype: str = "float32"
    augmentation: str = field(default="none", metadata=LATER)
    metric: str = field(default=ACCURACY.name, metadata=LATER)

    def __post_init__(self) -> None:
        if self.batch_size == "auto":  # type: ignore[comparison-overlap]  # for users who know it from scikit-learn
            object.__setattr__(self, "batch_size", AUTO_BATCH)
        check_integer("epochs", self.epochs, low=1, high=EPOCHS_LIMIT)
        check_integer("batch_size", self.batch_size, low=1)
        check_choice("preprocessing", self.preprocessing, PREPROCESSING_NAMES)
        check_choice("augmentation", self.augmentation, ("none", "flip", "crop", "flip_crop"))
        check_choice("dtype", self.dtype, ("float32", "float64"))
        for name in ("validation", "test"):
            check_number(name, getattr(self, name), low=0.0, below=1.0)
        if not 0 < self.validation + self.test < 1:
            raise UserError(f"validation + test: got {self.validation + self.test:g}; expected a share between 0 and 1")
        if self.objective is not ACCURACY and not self.validation:
            raise UserError(f"metric: got {self.metric!r} without validation rows; expected a share. Set validation")

    @property
    def objective(self) -> Metric:
        """The metric of the name."""
        return find_metric(self.metric)


def plain_fields(values: HyperParams | TrainConfig) -> dict[str, Any]:
    """Return the fields as they are recorded: ``LATER`` ones only if used, so that older studies keep their hash."""
    left_out = {f.name for f in fields(values) if f.metadata == LATER and getattr(values, f.name) == f.default}
    return {name: value for name, value in asdict(values).items() if name not in left_out}


def source_text(value: Any, *, indent: str = "", defaults: bool = False) -> str:
    """Return the Python call that makes a dataclass's value, with the arguments that differ from their defaults.

    With ``indent``, each argument has a line of its own. With ``defaults``, all arguments are there.
    """
    default = type(value)()
    names = [f.name for f in fields(value) if defaults or getattr(value, f.name) != getattr(default, f.name)]
    arguments = [f"{name}={getattr(value, name)!r}" for name in names]
    listed = "".join(f"\n{indent}{argument}," for argument in arguments) + "\n" if indent else ", ".join(arguments)
    return f"{type(value).__name__}({listed})"


def as_choice(value: Any) -> Any:
    """Return a hyperparameter as a categorical choice, which is a scalar: sizes become text, like ``100x50``."""
    return "x".join(map(str, value)) if isinstance(value, tuple) else value


def parse_hidden(value: Any) -> tuple[int, ...]:
    """Return hidden sizes that are given as integers or, like Optuna's categorical choices, as text: ``100x50``."""
    sizes = value
    if isinstance(value, str):
        parts = value.split("x") if value else []
        sizes = [int(part) for part in parts] if all(part.isdecimal() for part in parts) else None
    elif isinstance(value, int):
        sizes = [value]
    if not isinstance(sizes, (list, tuple)):
        raise UserError(f"hidden: got {value!r}; expected sizes, or text like 100x50")
    for size in sizes:
        check_integer("hidden", size, low=1, high=WIDEST)
    return tuple(int(size) for size in sizes)
