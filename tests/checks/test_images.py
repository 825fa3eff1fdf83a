"""The checks on images, which have few directions, pixels up to 255, and feature maps with many kinks."""

import numpy as np
import pytest

from pipeline.checks.all_checks import check, initial_loss
from pipeline.checks.gradients import gradient_check
from pipeline.checks.labels import label_checks
from pipeline.data import Dataset, Split
from pipeline.data.folder import data_folder
from pipeline.study.hparams import HyperParams, TrainConfig
from pipeline.study.loading import find_study, study_names
from pipeline.study.spec import Arm, Float, SearchSpace, Study


def images(scale=1.0, rows=1500):
    """Random images of 16 x 16 pixels in squares of 4, standardised and then scaled; each class has a pattern."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 10, rows)
    coarse = rng.standard_normal((rows, 3, 4, 4))
    coarse += np.random.default_rng(1).standard_normal((10, 1, 4, 4))[labels]
    inputs = np.kron(coarse, np.ones((4, 4))).reshape(rows, -1) + 0.1 * rng.standard_normal((rows, 768))
    inputs = (scale * (inputs - inputs.mean(axis=0)) / inputs.std(axis=0)).astype("float32")
    train, val = Split(inputs[:1000], labels[:1000]), Split(inputs[1000:], labels[1000:])
    return Dataset(train, val, val, 10, shape=(3, 16, 16))


def study(**fixed):
    """A study of images, by default with He's rule."""
    space = SearchSpace(learning_rate=Float(1e-4, 1, log=True))
    config = TrainConfig(batch_size=100)
    return Study(
        name="images", question="?", space=space, fixed=HyperParams(**fixed), config=config, arms=(Arm("random"),)
    )


def test_images_by_he_start_higher_than_digits():
    """With some seeds the loss starts more than 0.7 above ln 10, as on CIFAR-10, and the check passes."""
    results = [initial_loss(study(seed=seed), images()) for seed in range(8)]
    assert max(result.metrics["check/initial_loss/he"] for result in results) > np.log(10) + 0.7
    assert all(result.passed for result in results)


def test_weights_twice_too_large_are_found():
    """Inputs of twice the scale, which act as weights of twice the size, give a loss outside the limits."""
    assert not initial_loss(study(), images(scale=2)).passed


@pytest.mark.parametrize("seed", [3, 7])
def test_kinks_do_not_fail_the_gradient_check(seed):
    """Three convolutions with pooling have so many kinks that a step crosses some, and the check passes."""
    assert gradient_check(study(seed=seed, conv="16px32px64p", hidden=(), batch_norm=True, init=0.05), images()).passed


def test_pixels_up_to_255_are_learned_from():
    """With small weights and such pixels only rates up to about 1e-3 learn, and the check tries one of them."""
    assert all(result.passed for result in label_checks(study(init=1e-4, momentum=0.9), images(scale=160.0)))


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in study_names() if name.startswith("cifar10")])
def test_the_studies_of_cifar10_pass(name):
    """On the real images, if present, every study of CIFAR-10 passes the checks."""
    if not [*data_folder().glob("cifar10-*.npy"), *data_folder().glob("cifar-10-binary.tar.gz")]:
        pytest.skip(f"the archive of CIFAR-10 is not in {data_folder()}")
    assert [result.name for result in check(find_study(name, {})) if not result.passed] == []
