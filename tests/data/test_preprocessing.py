"""Preprocessing: learned from training rows alone, in bounded memory, and right for each name."""

import hashlib
import tracemalloc
from dataclasses import replace

import numpy as np
import pytest

from pipeline.data import Dataset, Split, load_block
from pipeline.data.dataset import preprocess, split
from pipeline.data.preprocessing import EPSILON, MOST_COLUMNS, PREPROCESSING, covariance, learn
from pipeline.data.problems import Problems
from pipeline.data.published import load_digits
from pipeline.data.rows import CHUNK, Rows, labelled
from pipeline.errors import UserError
from pipeline.study.hparams import PREPROCESSING_NAMES, TrainConfig

IMAGE = (3, 4, 5)


def photos(count=90, shape=IMAGE, dtype=np.uint8):
    """Random flattened images with a different mean for each colour; one pixel is constant."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 100, (count, *shape)) + 50 * np.arange(shape[0])[:, None, None]
    images[:, 0, 0, 0] = 77
    return images.reshape(count, -1).astype(dtype)


def block_of(inputs, shape=IMAGE):
    """The splits of rows in three classes."""
    return split(Rows(inputs, np.arange(len(inputs)) % 3, tuple("abc"), shape=shape), TrainConfig(), 0)


def test_the_names_are_those_that_studies_may_use():
    """A configuration accepts exactly the names of ``PREPROCESSING``."""
    assert list(PREPROCESSING) == list(PREPROCESSING_NAMES)
    for name in PREPROCESSING:
        TrainConfig(preprocessing=name)


@pytest.mark.parametrize("name", ["zca", "", "Standardise", None])
def test_an_unknown_preprocessing_is_refused(name):
    """The line has the value and the known names, when the configuration is made."""
    with pytest.raises(ValueError, match=f"preprocessing: got {name!r}; .*expected one of none, centre, standardise"):
        TrainConfig(preprocessing=name)
    with pytest.raises(ValueError, match="preprocessing: got"):
        learn(name, photos())


@pytest.mark.parametrize("held_out", ["val", "test"])
@pytest.mark.parametrize("name", PREPROCESSING)
def test_held_out_rows_change_nothing(name, held_out):
    """Another validation or test row changes no bit of the other splits; another training row does."""
    block, config = block_of(photos()), TrainConfig(preprocessing=name)

    def changed(part):
        rows = getattr(block, part)
        inputs = rows.inputs.copy()
        inputs[0] = 255 - inputs[0]
        return preprocess(replace(block, **{part: Split(inputs, rows.labels)}), config)

    before, after = preprocess(block, config), changed(held_out)
    for part in {"train", "val", "test"} - {held_out}:
        np.testing.assert_array_equal(getattr(after, part).inputs, getattr(before, part).inputs)
    assert np.array_equal(changed("train").test.inputs, before.test.inputs) == (name == "none")


@pytest.mark.parametrize(
    ("name", "digest"), [("none", "45a2f96ee5c8"), ("centre", "2a55822c21b2"), ("standardise", "620b3f17f724")]
)
def test_preprocessed_digits_have_the_recorded_hash(name, digest):
    """The preprocessed digits of a block have the bits that recorded studies used."""
    block = load_block("digits", TrainConfig(preprocessing=name, dtype="float64"), 3)
    inputs = [part.inputs for part in (block.train, block.val, block.test)]
    assert hashlib.sha256(b"".join(part.tobytes() for part in inputs)).hexdigest()[:12] == digest


@pytest.mark.parametrize("name", ["centre", "standardise", "mean_image", "pca", "whiten"])
def test_training_rows_have_mean_zero(name):
    """The mean over the training rows is 0, and over the test rows it is not."""
    done = preprocess(block_of(photos().astype(float)), TrainConfig(preprocessing=name, dtype="float64"))
    np.testing.assert_allclose(done.train.inputs.mean(axis=0), 0, atol=1e-10 * 255)
    assert np.abs(done.test.inputs.mean(axis=0)).max() > 0.01


def test_standardised_rows_have_deviation_one():
    """A feature has standard deviation 1 over training rows; a constant one is 0, even with rounding."""
    inputs = photos().astype(float) / 255
    assert np.std(inputs[:, 0]) > 0
    done = learn("standardise", inputs)(inputs)
    np.testing.assert_allclose(done[:, 1:].std(axis=0), 1)
    np.testing.assert_allclose(done[:, 0], 0, atol=1e-12)


@pytest.mark.parametrize("name", ["centre", "standardise", "mean_image"])
@pytest.mark.parametrize(("dtype", "far"), [("float16", 300), ("float32", 1000)])
def test_statistics_of_float16_and_float32_are_exact(name, dtype, far):
    """The mean becomes 0 for many rows far from 0, whose sums overflow or lose digits in their own precision."""
    inputs = (far + np.random.default_rng(0).standard_normal((20_000, 3))).astype(dtype)
    done = learn(name, inputs)(inputs)
    np.testing.assert_allclose(done.mean(axis=0, dtype="float64"), 0, atol=1e-9)
    assert np.std(done, axis=0) == pytest.approx(
        np.std(inputs.astype("float64"), axis=0) if name != "standardise" else 1
    )


def test_min_max_spans_the_range():
    """Each feature of the training rows spans [-1, 1]; a constant one is 0; other rows may lie outside."""
    transform = learn("min_max", photos())
    done = transform(photos())
    assert (done[:, 1:].min(axis=0) == -1).all()
    assert (done[:, 1:].max(axis=0) == 1).all()
    assert (done[:, 0] == 0).all()
    assert transform(np.full((1, done.shape[1]), 255.0)).max() > 1


def test_principal_components():
    """PCA components have no covariance, keep all variance and distances, and are ordered by variance."""
    inputs = photos().astype(float) @ np.random.default_rng(1).normal(size=(60, 60))
    done = learn("pca", inputs)(inputs)
    covariances = np.cov(done.T, bias=True)
    variances = np.diag(covariances)
    np.testing.assert_allclose(covariances - np.diag(variances), 0, atol=1e-12 * variances[0])
    assert (np.diff(variances) < 1e-9 * variances[0]).all()
    np.testing.assert_allclose(variances.sum(), inputs.var(axis=0).sum())
    np.testing.assert_allclose(np.linalg.norm(done[0] - done[1]), np.linalg.norm(inputs[0] - inputs[1]))


def test_pca_is_that_of_scikit_learn():
    """The axes are scikit-learn's, up to their signs."""
    from sklearn.decomposition import PCA

    inputs = np.random.default_rng(1).normal(size=(200, 6)) * [1, 2, 3, 4, 5, 6]
    ours, theirs = learn("pca", inputs)(inputs), PCA().fit_transform(inputs)
    np.testing.assert_allclose(np.abs(ours), np.abs(theirs), atol=1e-12)


def test_whitened_rows_have_unit_covariance():
    """The covariance is I, up to ε relative to the smallest variance; a direction without variance stays 0."""
    inputs = np.random.default_rng(1).normal(size=(5000, 5)) * [1, 2, 3, 0.2, 0]
    done = learn("whiten", inputs)(inputs)
    covariances = np.cov(done.T, bias=True)
    np.testing.assert_allclose(covariances[:4, :4], np.eye(4), atol=1.1 * EPSILON / inputs.var(axis=0)[3])
    np.testing.assert_allclose(done[:, 4], 0, atol=1e-8)


def test_covariances_are_summed_over_chunks():
    """Covariances of chunks add up to NumPy's."""
    inputs = photos(CHUNK + 300)
    np.testing.assert_allclose(covariance(inputs, inputs.mean(axis=0)), np.cov(inputs.T, bias=True), atol=1e-9)


def test_the_mean_image_has_a_number_for_each_pixel():
    """The mean image is the mean of each pixel."""
    mean = learn("mean_image", photos(), IMAGE).offset
    np.testing.assert_array_equal(mean, photos().mean(axis=0))


@pytest.mark.parametrize("last", [True, False])
def test_the_channel_mean_has_a_number_for_each_colour(last):
    """Channels may come first, as in CIFAR-10, or last, as in most arrays of images."""
    images = photos().reshape(-1, *IMAGE)
    colours = images.mean(axis=(0, 2, 3))
    array = np.moveaxis(images, 1, -1) if last else images
    rows = labelled(Problems("here"), array, np.arange(90) % 3)
    assert rows.shape == array.shape[1:]
    mean = learn("channel_mean", rows.inputs, rows.shape).offset
    assert len(np.unique(mean)) == 3
    expected = np.broadcast_to(colours if last else colours[:, None, None], rows.shape).reshape(-1)
    np.testing.assert_allclose(mean, expected)


def test_a_grey_image_has_one_channel():
    """One number is subtracted from the digits, the mean of all pixels."""
    rows = load_digits()
    np.testing.assert_allclose(learn("channel_mean", rows.inputs, rows.shape).offset, rows.inputs.mean())


@pytest.mark.parametrize("shape", [(60,), (3, 4, 5, 1), (5, 4, 2), ()])
def test_the_channel_mean_needs_images(shape):
    """Other rows are refused, with the expected shapes and the remedy."""
    inputs = photos(shape=(1, 1, int(np.prod(shape)) if shape else 60))
    with pytest.raises(UserError, match=r"channel_mean: the rows have shape .* no images; .*Leave channel_mean out"):
        preprocess(block_of(inputs, shape), TrainConfig(preprocessing="channel_mean"))


def test_too_many_columns_are_refused():
    """PCA refuses too many columns before it takes the memory."""
    with pytest.raises(UserError, match=r"at most 8,192 columns; got 8,193"):
        learn("pca", np.zeros((3, MOST_COLUMNS + 1), np.uint8))


@pytest.mark.parametrize("name", PREPROCESSING)
def test_statistics_take_bounded_memory(name, tmp_path):
    """Mapped rows are read a few rows or columns at a time, without a float64 copy of all of them."""
    np.save(tmp_path / "rows.npy", np.repeat(photos(CHUNK, (3, 8, 16)), 12, axis=0))
    inputs = np.load(tmp_path / "rows.npy", mmap_mode="r")
    tracemalloc.start()
    learn(name, inputs, (3, 8, 16))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 0.8 * inputs.size * 8


@pytest.mark.parametrize("name", PREPROCESSING)
def test_a_row_does_not_depend_on_the_others(name):
    """A row has the same result alone and with others."""
    transform = learn(name, photos(), IMAGE)
    together, alone = transform(photos()), [transform(photos()[i : i + 1]) for i in range(90)]
    np.testing.assert_allclose(np.concatenate(alone), together, rtol=1e-12, atol=1e-10)
    if transform.basis is None:
        np.testing.assert_array_equal(np.concatenate(alone), together)


def test_a_data_set_keeps_its_shape():
    """Rows, splits and preprocessed splits have the same shape; rows of a table have none."""
    assert load_block("digits", TrainConfig(), 0).shape == (8, 8)
    assert block_of(photos()).shape == IMAGE
    assert Dataset(*[Split(photos(), np.arange(90) % 3)] * 3, classes=3).shape == ()


def test_whitening_leaves_a_direction_without_variance_small():
    """A variance of ε = 1e-5 becomes 0.5, so that noise is not amplified without limit."""
    rng = np.random.default_rng(0)
    inputs = rng.standard_normal((4000, 2)) * [1, np.sqrt(1e-5)]
    inputs = (inputs - inputs.mean(axis=0)) / inputs.std(axis=0) * [1, np.sqrt(1e-5)]
    np.testing.assert_allclose(learn("whiten", inputs)(inputs).var(axis=0), [1, 0.5], rtol=1e-2)
