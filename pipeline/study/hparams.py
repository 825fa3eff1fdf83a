"""What one trial is made of: the hyperparameters of a network, and the settings that a study holds fixed."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields
from typing import Any

from pipeline.errors import UserError
from pipeline.nn.activations import ACTIVATIONS
from pipeline.nn.conv_text import parse_conv
from pipeline.nn.initializers import INITIALIZERS
from pipeline.nn.optimizers import OPTIMIZERS
from pipeline.nn.schedules import SCHEDULES, Schedule
from pipeline.validation import check_choice, check_flag, check_integer, check_number

PREPROCESSING_NAMES = ("none", "centre", "standardise", "min_max", "mean_image", "channel_mean", "pca", "whiten")
"""What can be done to the inputs; ``pipeline.data.preprocessing`` says what each of them is."""

EPOCHS_LIMIT = 100_000
"""More of them are a slip of the pen: their curves alone would not fit into memory."""

LATER = {"later": True}
"""Marks a field that came after studies had been recorded; see :func:`recorded`."""


@dataclass(frozen=True)
class HyperParams:
    """One trial's point: everything that may be searched, and the seed of its weights and of its dropout.

    Networks that differ in numbers train in one lockstep group; which group that is depends on their :attr:`structure`.
    A regulariser, a clip or a warm-up of 0 is none.

    - ``init`` is a name of ``INITIALIZERS`` or a number, the standard deviation of the weights.
    - ``l2`` scales ½·l2·ΣW², ``l1`` l1·Σ|W|, both over the weights; biases and norms' parameters are left out.
      With ``adamw``, ``l2`` is its decoupled weight decay.
    - ``max_norm`` is the greatest norm of the weights into a unit, ``clip`` that of the gradient.
    - ``dropout`` is the share of hidden units that is silenced, ``label_smoothing`` that of a target given to all classes.
    - ``momentum`` is of ``sgd`` and ``nesterov``, ``rho`` of ``rmsprop``, ``beta1`` and ``beta2`` of ``adam`` and
      ``adamw``, ``epsilon`` of all that divide.
    - ``step_factor`` and ``step_epochs`` are of the ``step`` schedule, ``decay_rate``, an epoch, of ``exponential`` and
      ``inverse_time``; ``warmup`` counts epochs.
    - ``conv``, such as ``32x32px64s``, are 3x3 convolutions before the hidden layers, with so many filters each; ``s`` is
      for a stride of 2, ``p`` for 2x2 max pooling. Each has the activation and batch norm, if any; layer norm and
      dropout are of the hidden layers. The mean of each map goes on.
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

    def __post_init__(self) -> None:
        object.__setattr__(self, "hidden", parse_hidden(self.hidden))
        object.__setattr__(self, "conv", parse_conv(self.conv))
        for name in ("learning_rate", "l2", "l1", "max_norm", "clip", "decay_rate"):
            check_number(name, getattr(self, name), low=0.0)
        for name in ("momentum", "dropout", "label_smoothing", "beta1", "beta2", "rho"):
            check_number(name, getattr(self, name), low=0.0, below=1.0)
        check_number("epsilon", self.epsilon, low=1e-30)
        check_number("step_factor", self.step_factor, low=0.0)
        for name, known in (("activation", ACTIVATIONS), ("optimizer", OPTIMIZERS), ("schedule", SCHEDULES)):
            check_choice(name, getattr(self, name), known)
        if isinstance(self.init, str):
            check_choice("init", self.init, INITIALIZERS)
        else:
            check_number("init", self.init, low=0.0)
        for name in ("batch_norm", "layer_norm"):
            check_flag(name, getattr(self, name))
        for name, low in (("seed", 0), ("warmup", 0), ("step_epochs", 1)):
            check_integer(name, getattr(self, name), low=low)

    @property
    def structure(self) -> tuple[object, ...]:
        """What networks must have in common to be trained in one lockstep group."""
        switches = ("momentum", "dropout", "l1", "max_norm", "label_smoothing", "clip")
        used = tuple(name for name in switches if getattr(self, name))
        common = (self.hidden, self.activation, self.batch_norm, self.layer_norm, self.optimizer, used)
        return (*common, self.conv) if self.conv else common

    @property
    def optimizer_memories(self) -> int:
        """How many arrays like the parameters the optimizer keeps."""
        return (
            OPTIMIZERS[self.optimizer].memories if self.optimizer not in ("sgd", "nesterov") else int(self.momentum > 0)
        )

    def rate_factor(self, epoch: int, epochs: int) -> float:
        """The learning rate of an epoch, counted from 0, as a factor of :attr:`learning_rate`."""
        schedule = Schedule(self.schedule, self.warmup, self.step_factor, self.step_epochs, self.decay_rate)
        return schedule.factor(epoch, epochs)


@dataclass(frozen=True)
class TrainConfig:
    """What a study holds fixed for all of its trials.

    ``validation`` and ``test`` are the shares of the rows that each split takes; the rest is trained on.
    ``dtype`` is the precision of the network's arithmetic. ``augmentation`` shows training images mirrored (``flip``),
    moved by up to 4 pixels (``crop``) or both (``flip_crop``), drawn anew in every epoch, alike for the trials of a block.
    """

    epochs: int = 20
    batch_size: int = 64
    preprocessing: str = "standardise"
    validation: float = 0.2
    test: float = 0.2
    dtype: str = "float32"
    augmentation: str = field(default="none", metadata=LATER)

    def __post_init__(self) -> None:
        check_integer("epochs", self.epochs, low=1, high=EPOCHS_LIMIT)
        check_integer("batch_size", self.batch_size, low=1)
        check_choice("preprocessing", self.preprocessing, PREPROCESSING_NAMES)
        check_choice("augmentation", self.augmentation, ("none", "flip", "crop", "flip_crop"))
        check_choice("dtype", self.dtype, ("float32", "float64"))
        for name in ("validation", "test"):
            check_number(name, getattr(self, name), low=0.0, below=1.0)
        if not 0 < self.validation + self.test < 1:
            raise UserError(f"validation + test: got {self.validation + self.test:g}; expected a share between 0 and 1")


def recorded(values: HyperParams | TrainConfig) -> dict[str, Any]:
    """The fields as they are recorded: later ones only where they are used, so that older studies keep their identity."""
    left_out = {f.name for f in fields(values) if f.metadata == LATER and getattr(values, f.name) == f.default}
    return {name: value for name, value in asdict(values).items() if name not in left_out}


def as_choice(value: Any) -> Any:
    """A hyperparameter as a categorical choice, a plain scalar: sizes and blocks become text, like ``100x50``."""
    return "x".join(map(str, value)) if isinstance(value, tuple) else value


def parse_hidden(value: Any) -> tuple[int, ...]:
    """Read a list of hidden sizes, given as integers or as text like ``100x50``.

    Text is how an architecture is written as a categorical choice, since Optuna's choices are plain scalars.
    """
    if isinstance(value, str):
        sizes = value.split("x") if value else []
        if not all(size.isdecimal() for size in sizes):
            raise UserError(f"hidden: got {value!r}; expected sizes, or text like 100x50")
        value = [int(size) for size in sizes]
    elif isinstance(value, int):
        value = [value]
    elif not isinstance(value, (list, tuple)):
        raise UserError(f"hidden: got {value!r}; expected sizes, or text like 100x50")
    for size in value:
        check_integer("hidden", size, low=1)
    return tuple(int(size) for size in value)
