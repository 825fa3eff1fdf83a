"""People's own data come through the door whole, or are sent back with a line that says what and where."""

import functools
import gzip
import http.server
import importlib.resources
import threading
import types
import urllib.parse
import urllib.request

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import _openml, fetch_openml

from pipeline.data import dataset, load_block
from pipeline.data.rows import CHUNK, check_inputs
from pipeline.data.tables import load_table
from pipeline.errors import UserError
from pipeline.study.hparams import TrainConfig

ROWS = 30
RNG = np.random.default_rng(0)
X = RNG.standard_normal((ROWS, 4))
Y = np.arange(ROWS) % 3


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    """Work in a folder of the test's own."""
    monkeypatch.chdir(tmp_path)
    dataset.load_rows.cache_clear()


def refusal(name):
    """The one line with which data are refused."""
    with pytest.raises(UserError) as caught:
        load_table(name)
    line = str(caught.value)
    assert "\n" not in line
    assert line.startswith(name.partition(":")[0])
    return line


def write_csv(text, name="table.csv"):
    """A table with a header a, b, y, of sound rows and the given ones after them."""
    sound = "".join(f"{i},{i / 7},{'xyz'[i % 3]}\n" for i in range(9))
    with open(name, "w") as stream:  # noqa: PTH123  a name in the current folder
        stream.write(f"a,b,y\n{sound}{text}")
    return name


@pytest.mark.parametrize(("inputs", "labels"), [("X", "y"), ("inputs", "labels")])
def test_arrays_are_read(inputs, labels):
    """An .npz of X and y, or inputs and labels, comes out as it went in."""
    np.savez("own.npz", **{inputs: X, labels: Y})
    rows = load_table("own.npz")
    np.testing.assert_array_equal(rows.inputs, X)
    np.testing.assert_array_equal(rows.labels, Y)
    assert rows.class_names == ("0", "1", "2")


@pytest.mark.parametrize(
    "labels", [Y - 7, Y * 100, np.array(["cat", "ant", "bee"])[Y], Y.astype(np.uint8), Y.astype(">i4")]
)
def test_labels_of_any_numbering_become_classes(labels):
    """Labels are counted from 0 in their sorted order, and the names they had are kept."""
    np.savez("own.npz", X=X, y=labels)
    rows = load_table("own.npz")
    assert rows.class_names == tuple(str(name) for name in np.unique(labels).tolist())
    assert [rows.class_names[c] for c in rows.labels] == [str(label) for label in labels.tolist()]
    assert set(rows.labels) == {0, 1, 2}


def test_truth_values_are_classes():
    """True and False are two classes."""
    np.savez("own.npz", X=X, y=Y > 1)
    assert load_table("own.npz").class_names == ("False", "True")


@pytest.mark.parametrize(
    "inputs",
    [
        np.asfortranarray(X),
        X.astype(">f8"),
        X.astype(np.float32),
        (X * 9).astype(np.uint8),
        X > 0,
        X.reshape(ROWS, 2, 2),
    ],
    ids=["Fortran order", "big-endian", "float32", "uint8", "truth values", "images"],
)
def test_arrays_of_any_layout_are_read(inputs):
    """The order in memory, the order of bytes, the type and the shape of a row are no obstacle."""
    np.savez("own.npz", X=inputs, y=Y)
    rows = load_table("own.npz")
    np.testing.assert_array_equal(rows.inputs, np.asarray(inputs).reshape(ROWS, -1))
    assert rows.inputs.dtype.isnative
    load_block("own.npz", TrainConfig(batch_size=4), 0)


BAD_ARRAYS = {
    "lengths": ({"X": X, "y": Y[:-1]}, "30 rows of inputs, and labels of shape (29,)"),
    "one-hot": ({"X": X, "y": np.eye(3)[Y]}, "labels of shape (30, 3)"),
    "flat": ({"X": X[:, 0], "y": Y}, "shape (30,); expected rows and columns"),
    "no rows": ({"X": X[:0], "y": Y[:0]}, "shape (0, 4)"),
    "no X": ({"data": X, "y": Y}, "has the arrays data, y; expected one called X or inputs"),
    "objects": ({"X": X.astype(object), "y": Y}, "plain arrays (Object arrays cannot be loaded"),
    "objects of labels": ({"X": X, "y": Y.astype(object)}, "plain arrays (Object arrays cannot be loaded"),
    "text": ({"X": X.astype(str), "y": Y}, "expected numbers"),
    "complex": ({"X": X + 1j, "y": Y}, "of type complex128; expected numbers"),
    "NaN": ({"X": np.where(np.arange(120).reshape(30, 4) == 9, np.nan, X), "y": Y}, "row 3, column 2 is missing (NaN)"),
    "inf": ({"X": np.where(np.arange(120).reshape(30, 4) == 9, -np.inf, X), "y": Y}, "row 3, column 2 is -inf"),
    "huge": ({"X": np.where(np.arange(120).reshape(30, 4) == 9, 1e31, X), "y": Y}, "row 3, column 2 is 1e+31"),
    "float labels": ({"X": X, "y": Y / 2}, "the labels are of type float64 (row 1 is "),
    "one class": ({"X": X, "y": Y * 0}, "all 30 rows are of class 0"),
    "a class a row": ({"X": X, "y": np.arange(ROWS)}, "30 rows in 30 classes"),
    "a rare class": ({"X": X, "y": np.where(np.arange(ROWS) < 2, 7, Y)}, "only 2 of class 7; expected at least 3"),
}


@pytest.mark.parametrize("case", BAD_ARRAYS)
def test_bad_arrays_are_refused(case):
    """What is wrong with the arrays is said, with the place where there is one."""
    arrays, what = BAD_ARRAYS[case]
    np.savez("own.npz", **arrays)
    assert what in refusal("own.npz")


class Gadget:
    """Unpickled, it would make a file."""

    def __reduce__(self):
        return open, ("made", "w")


def test_a_pickle_in_an_array_is_never_run(tmp_path):
    """An object array, or a bare pickle under the name, is refused unopened: what it would do is not done."""
    import pickle

    np.savez("own.npz", X=np.array([[Gadget()]] * ROWS, dtype=object), y=Y)
    refusal("own.npz")
    (tmp_path / "bare.npz").write_bytes(pickle.dumps(Gadget()))
    refusal("bare.npz")
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "is no .npz file; expected what np.savez(path, X=..., y=...) writes"),
        (b"<html>", "is no .npz file; expected what np.savez(path, X=..., y=...) writes"),
        (b"PK\x03\x04 torn", "cannot be read as an .npz file"),
        (b"\x93NUMPY", "cannot be read as an .npz file"),
    ],
)
def test_a_file_that_is_no_npz_is_refused(content, says, tmp_path):
    """A file of anything else is told as that, and nobody is advised to load it as a pickle."""
    (tmp_path / "own.npz").write_bytes(content)
    assert says in refusal("own.npz")
    assert "pickle" not in refusal("own.npz")


def test_a_single_array_is_no_npz(tmp_path):
    """An .npy file renamed has no names in it, and says so."""
    np.save("own.npy", X)
    (tmp_path / "own.npy").rename("own.npz")
    assert "is a single array without a name" in refusal("own.npz")


def test_a_table_is_read():
    """A .csv has its target in the last column, and its features in the others."""
    rows = load_table(write_csv(""))
    np.testing.assert_array_equal(rows.inputs, [[i, float(str(i / 7))] for i in range(9)])
    assert [rows.class_names[c] for c in rows.labels] == list("xyz" * 3)


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_the_target_may_be_any_column(kind):
    """``table.csv:species`` takes that column, whichever it is; its name may have a colon."""
    frame = pd.DataFrame(X, columns=list("abcd"))
    frame.insert(1, "kind:of", np.array(["cat", "ant", "bee"])[Y])
    frame.to_csv("table.csv", index=False)
    frame.to_parquet("table.parquet")
    rows = load_table(f"table.{kind}:kind:of")
    np.testing.assert_allclose(rows.inputs, X, rtol=1e-15)
    assert [rows.class_names[c] for c in rows.labels[:3]] == ["cat", "ant", "bee"]


@pytest.mark.parametrize("kind", ["category", "string", "Int64", "boolean"])
def test_a_parquet_target_may_be_of_pandas_types(kind):
    """Categories, strings, nullable integers and truth values of pandas are classes too."""
    frame = pd.DataFrame(X, columns=list("abcd"))
    frame["y"] = pd.Series(Y % 2 if kind in ("Int64", "boolean") else np.array(["u", "v"])[Y % 2]).astype(kind)
    frame.to_parquet("table.parquet")
    assert load_table("table.parquet").labels.tolist() == (Y % 2).tolist()


@pytest.mark.parametrize("kind", ["Int64", "Float32", "boolean", "int8"])
def test_a_parquet_feature_may_be_of_pandas_types(kind):
    """Nullable numbers and truth values of pandas are features, and a missing one among them is told by its place."""
    feature = pd.Series(Y % 2).astype(kind)
    frame = pd.DataFrame({"a": X[:, 0], "b": feature, "y": Y})
    frame.to_parquet("table.parquet")
    assert load_table("table.parquet").inputs[:, 1].tolist() == (Y % 2).tolist()
    if kind != "int8":
        frame.loc[4, "b"] = pd.NA
        frame.to_parquet("holes.parquet")
        assert "row 5, column 'b' is missing (NaN)" in refusal("holes.parquet")


BAD_TABLES = {
    "text": ("1,red,x\n", "row 10, column 'b' is 'red'; expected a number"),
    "missing": ("1,,x\n", "row 10, column 'b' is missing (NaN)"),
    "infinite": ("1,inf,x\n", "row 10, column 'b' is inf"),
    "no label": ("1,2,\n", "row 10 has no label in column 'y'"),
    "ragged": ("1,2,x,4,5\n", "cannot be read as a table"),
}


@pytest.mark.parametrize("case", BAD_TABLES)
def test_bad_tables_are_refused(case):
    """What is wrong with a table is said with its row and its column."""
    text, what = BAD_TABLES[case]
    assert what in refusal(write_csv(text))


def test_a_measurement_is_no_class():
    """A target of broken numbers is told as one that names no classes, with an example."""
    assert "the labels are of type float64 (row 1 is " in refusal(write_csv("") + ":b")


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"", "cannot be read as a table (No columns"),
        (b"a,y\n", "has no rows"),
        (b"y\n1\n2\n", "has 1 column"),
        (b"a;y\n1;2\n", "has 1 column"),
        (b"a,y\n\xff\xfe,1\n", "cannot be read as a table"),
    ],
)
def test_a_file_that_is_no_table_is_refused(content, what, tmp_path):
    """An empty file, a header alone, other separators and other encodings are told."""
    (tmp_path / "table.csv").write_bytes(content)
    assert what in refusal("table.csv")


def test_a_parquet_that_is_none_is_refused(tmp_path):
    """A file that is no parquet is told."""
    (tmp_path / "table.parquet").write_bytes(b"a,y\n1,2\n")
    assert "cannot be read as a table" in refusal("table.parquet")


def test_a_target_that_is_not_there_is_told_with_those_that_are():
    """A misspelt target is answered with the columns."""
    assert "no column 'Y'; there are a, b, y" in refusal(write_csv("") + ":Y")


@pytest.mark.parametrize("name", ["none.npz", "none.csv", "none.parquet:y"])
def test_a_missing_file_is_told_with_the_folder(name, tmp_path):
    """A file that is not there is told with where it was looked for."""
    assert str(tmp_path) in refusal(name)


def test_the_place_is_right_beyond_the_first_chunk():
    """Rows are looked at some at a time, and counted through."""
    inputs = np.zeros((2 * CHUNK + 5, 3))
    inputs[CHUNK + 1, 2] = np.nan
    with pytest.raises(UserError, match=f"row {CHUNK + 2}, column 'c'"):
        check_inputs("table", inputs, "abc")


@pytest.mark.parametrize("number", ["", "iris", "-1", "0", "6.1", "²"])
def test_an_openml_number_is_a_number(number):
    """Anything but a whole number is refused before anyone is asked."""
    assert "expected the number of a data set" in refusal(f"openml:{number}")


@pytest.fixture
def openml(monkeypatch, tmp_path):
    """A server on this machine in place of openml.org; it answers with what scikit-learn's distribution has recorded.

    The dictionary that a test gets replaces answers, by a part of their path: a status, or bytes.
    """
    answers = {}

    class Openml(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            found = next((answer for part, answer in answers.items() if part in self.path), None)
            body = recorded(self.path) if found is None else found
            self.send_response(body if isinstance(body, int) else 200)
            self.end_headers()
            self.wfile.write(b"" if isinstance(body, int) else body)

        def log_message(self, *args):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Openml)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    at = f"http://127.0.0.1:{server.server_port}"
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({})).open
    monkeypatch.setattr(_openml, "urlopen", lambda request: direct(at + urllib.parse.urlparse(request.full_url).path))
    monkeypatch.setattr(_openml, "time", types.SimpleNamespace(sleep=lambda _: None))
    monkeypatch.setenv("BABYSIT_DATA_DIR", str(tmp_path / "kept"))
    yield answers
    server.shutdown()
    thread.join()
    server.server_close()


def recorded(path):
    """The recorded answer to a request; 412, as from openml.org, where there is none."""
    parts = path.removeprefix("/api").strip("/").split("/")
    kind = {"features": "jdf", "qualities": "jdq"}.get(parts[3], "jd")
    name = f"data-v1-dl-{parts[3]}.arff.gz" if parts[0] == "data" else f"api-v1-{kind}-{parts[-1]}.json.gz"
    files = [*(importlib.resources.files("sklearn.datasets.tests.data") / "openml").glob(f"*/{name}")]
    return gzip.decompress(files[0].read_bytes()) if files else 412


@pytest.mark.usefixtures("openml")
def test_a_data_set_of_openml_is_read():
    """scikit-learn takes what it is asked with, and the rows of iris come out, once more from the folder that keeps them."""
    rows = load_table("openml:61")
    assert (rows.inputs.shape, rows.class_names) == ((150, 4), ("Iris-setosa", "Iris-versicolor", "Iris-virginica"))
    np.testing.assert_array_equal(rows.inputs[0], [5.1, 3.5, 1.4, 0.2])
    np.testing.assert_array_equal(np.bincount(rows.labels), [50, 50, 50])


def test_a_kept_data_set_of_openml_needs_no_network(openml):
    """What was fetched once is read from the data folder."""
    first = load_table("openml:61")
    openml["/"] = 500
    np.testing.assert_array_equal(load_table("openml:61").inputs, first.inputs)


@pytest.mark.parametrize(
    ("number", "answers", "says"),
    [
        (9, {}, "there is no such data set on openml.org"),
        (61, {"/": 503}, "openml.org answers 503 (Service Unavailable)"),
        (61, {"/json/": b"<html>"}, "the data cannot be used (Expecting value"),
        (61, {"/download/": b"torn"}, "the data cannot be used (The md5 checksum"),
        (40589, {}, "has no single target column"),
        (42585, {}, "expected a number"),
    ],
    ids=["unknown", "server", "no JSON", "torn", "several targets", "text"],
)
def test_openml_blames_what_failed(number, answers, says, openml):
    """An unknown number, a failing server and unusable data are told apart, and no network is blamed."""
    openml |= answers
    line = refusal(f"openml:{number}")
    assert says in line
    assert "network" not in line


@pytest.mark.filterwarnings("ignore:Version 1 of dataset Australian is inactive")
@pytest.mark.usefixtures("openml")
def test_a_sparse_data_set_of_openml_is_refused():
    """A sparse table is told as that."""
    assert "is a sparse table; expected a dense one" in refusal("openml:292")


@pytest.mark.usefixtures("openml")
def test_a_data_folder_that_cannot_be_written_is_told(tmp_path):
    """A file in the folder's place is told with its name."""
    (tmp_path / "kept").write_text("")
    assert f"cannot be kept in {tmp_path / 'kept'}" in refusal("openml:61")


def test_a_wrong_argument_for_scikit_learn_is_no_mistake_of_the_user(monkeypatch):
    """What scikit-learn's checks of its parameters refuse is a bug, and is raised as it is."""
    monkeypatch.setattr("sklearn.datasets.fetch_openml", functools.partial(fetch_openml, delay=-1))
    with pytest.raises(ValueError, match="'delay' parameter") as caught:
        load_table("openml:61")
    assert not isinstance(caught.value, UserError)


def test_openml_out_of_reach_is_one_line(monkeypatch, tmp_path):
    """Without a way to openml.org the line has the number and asks for the network."""
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("BABYSIT_DATA_DIR", str(tmp_path))
    monkeypatch.setattr(_openml, "time", types.SimpleNamespace(sleep=lambda _: None))
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    line = refusal("openml:61")
    assert line.startswith("openml:61: openml.org cannot be reached (<urlopen error [Errno 111]")
    assert "network" in line


def test_numbers_of_more_than_64_bits_are_refused(tmp_path):
    """An array of long doubles is told with its file and its type."""
    path = tmp_path / "long.npz"
    np.savez(path, X=np.zeros((9, 2), np.longdouble), y=np.arange(9) % 3)
    with pytest.raises(
        UserError, match=r"long\.npz: the inputs are of type float128; expected numbers of up to 64 bits"
    ):
        load_table(str(path))
