"""Augmentation: the changes of an image, and the same images for all trials of a block."""

from dataclasses import replace

import numpy as np
import pytest

from pipeline.data import load_block
from pipeline.data.augmentation import PADDING, augmentation, crop, flip
from pipeline.study.hparams import HyperParams, TrainConfig
from pipeline.training import minibatches, train
from studies.cifar10 import STUDY as CIFAR10
from studies.random_vs_grid import STUDY as DIGITS

CONFIG = TrainConfig(epochs=2, batch_size=100, augmentation="flip_crop")
IMAGES = np.random.default_rng(0).standard_normal((400, 3, 6, 5))


def test_a_flip_mirrors_half_of_the_images():
    """Each image is unchanged or mirrored, about half of them each."""
    flipped = flip(IMAGES, np.random.default_rng(0))
    mirrored = (flipped == IMAGES[..., ::-1]).all(axis=(1, 2, 3))
    assert ((flipped == IMAGES).all(axis=(1, 2, 3)) ^ mirrored).all()
    assert 150 < mirrored.sum() < 250


def test_a_crop_shifts_an_image():
    """Each image is shifted by up to 4 pixels, each distance occurs, and the border is filled with 0."""
    moved = crop(IMAGES, np.random.default_rng(0))
    shifts = set()
    for image, result in zip(IMAGES, moved, strict=True):
        padded = np.pad(image, ((0, 0), (PADDING, PADDING), (PADDING, PADDING)))
        places = [(i, j) for i in range(9) for j in range(9) if np.array_equal(padded[:, i : i + 6, j : j + 5], result)]
        assert len(places) == 1
        shifts |= set(places)
    assert {i for i, _ in shifts} == {j for _, j in shifts} == set(range(9))


def test_channels_may_come_last():
    """Images (H, W, C) are shifted by the same pixels as (C, H, W)."""
    last = np.moveaxis(IMAGES, 1, 3)
    first_rows, last_rows = (
        augmentation(CONFIG, images.shape[1:], np.random.default_rng(0))(images.reshape(400, -1))
        for images in (IMAGES, last)
    )
    np.testing.assert_array_equal(np.moveaxis(last_rows.reshape(last.shape), 3, 1), first_rows.reshape(IMAGES.shape))


def test_trials_of_a_block_see_the_same_images(monkeypatch):
    """A trial has the same bits alone, in a group, or with another structure; another block has other images."""
    data = load_block("digits-300", CONFIG, 0)
    trials = [HyperParams(learning_rate=0.1, hidden=hidden, seed=k) for k, hidden in enumerate([(9,), (9,), (5,)])]
    group = train(trials, data, CONFIG, order_seed=1)
    for k, trial in enumerate(trials):
        alone = train([trial], data, CONFIG, order_seed=1)
        np.testing.assert_array_equal(alone.curves["train/loss"][0], group.curves["train/loss"][k])
    other = train(trials, data, CONFIG, order_seed=2)
    assert not np.array_equal(other.curves["train/loss"], group.curves["train/loss"])


def test_the_number_of_minibatches_in_memory_changes_nothing(monkeypatch):
    """The images are the same for any number of minibatches that are prepared at a time."""
    data, trials = load_block("digits-300", CONFIG, 0), [HyperParams(seed=1)]
    whole = train(trials, data, CONFIG)
    monkeypatch.setattr(minibatches, "LIST_BYTES", 1)
    np.testing.assert_array_equal(train(trials, data, CONFIG).curves["val/loss"], whole.curves["val/loss"])


@pytest.mark.parametrize("name", ["flip", "crop", "flip_crop"])
def test_only_training_images_are_changed(name):
    """Augmentation changes the training loss; validation, and the rows of the data set, stay the same."""
    plain, config = (replace(CONFIG, augmentation=kind) for kind in ("none", name))
    data, trials = load_block("digits-300", plain, 0), [HyperParams(learning_rate=0.0)]
    before = data.train.inputs.copy()
    as_is, changed = (train(trials, data, settings).curves for settings in (plain, config))
    assert as_is["train/loss"][0, 0] != changed["train/loss"][0, 0] != changed["train/loss"][0, 1]
    np.testing.assert_array_equal(as_is["val/loss"], changed["val/loss"])
    np.testing.assert_array_equal(data.train.inputs, before)


def test_other_rows_than_images_are_refused():
    """One line has the shape and the remedy; rows after PCA are not images."""
    data = load_block("digits-300", replace(CONFIG, preprocessing="pca"), 0)
    with pytest.raises(ValueError, match=r"augmentation: the rows have shape \(\), and are no images; .*Leave augment"):
        train([HyperParams()], data, CONFIG)


def test_an_unknown_augmentation_is_refused():
    """The line lists the known names, when the configuration is made."""
    with pytest.raises(ValueError, match="augmentation: got 'mirror'; expected one of none, flip, crop, flip_crop"):
        TrainConfig(augmentation="mirror")


def test_studies_without_it_keep_their_identity():
    """An unused setting is left out of the record, so that trials recorded before it existed stay valid."""
    assert DIGITS.hash == "1ea38945b502"
    assert CIFAR10.hash == "b8313481aee4"
    assert "conv" not in DIGITS.identity["fixed"]
    assert "augmentation" not in DIGITS.identity["config"]
    for change in ({"config": CONFIG}, {"fixed": HyperParams(conv="8p")}):
        other = replace(DIGITS, **change)
        assert other.hash != DIGITS.hash
        assert type(other).from_json(other.to_json()) == other
