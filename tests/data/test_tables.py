"""The user's own data are read completely, or refused with one line that has the fault and its place."""

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
from pipeline.data.tables import load_table
from pipeline.errors import UserError
from pipeline.study.hparams import TrainConfig

ROWS = 30
RNG = np.random.default_rng(0)
X = RNG.standard_normal((ROWS, 4))
Y = np.arange(ROWS) % 3


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    """Work in a new folder."""
    monkeypatch.chdir(tmp_path)
    dataset.load_rows.cache_clear()


def refusal(name):
    """The one line of the error when data are refused."""
    with pytest.raises(UserError) as caught:
        load_table(name)
    line = str(caught.value)
    assert "\n" not in line
    assert line.startswith(name.partition(":")[0])
    return line


def write_csv(text, name="table.csv"):
    """Write a table with the header a, b, y, sound rows and then the given ones; return its name."""
    sound = "".join(f"{i},{i / 7},{'xyz'[i % 3]}\n" for i in range(9))
    with open(name, "w") as stream:  # noqa: PTH123  a name in the current folder
        stream.write(f"a,b,y\n{sound}{text}")
    return name


@pytest.mark.parametrize(("inputs", "labels"), [("X", "y"), ("inputs", "labels")])
def test_arrays_are_read(inputs, labels):
    """The arrays X and y, or inputs and labels, of an .npz are read unchanged."""
    np.savez("own.npz", **{inputs: X, labels: Y})
    rows = load_table("own.npz")
    np.testing.assert_array_equal(rows.inputs, X)
    np.testing.assert_array_equal(rows.labels, Y)
    assert rows.class_names == ("0", "1", "2")


@pytest.mark.parametrize(
    "labels", [Y - 7, Y * 100, np.array(["cat", "ant", "bee"])[Y], Y.astype(np.uint8), Y.astype(">i4")]
)
def test_labels_of_any_numbering_become_classes(labels):
    """Classes are numbered from 0 in the sorted order of labels, and keep the labels as names."""
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
        X.astype(np.float16),
        (X * 9).astype(np.uint8),
        X > 0,
        X.reshape(ROWS, 2, 2),
    ],
    ids=["Fortran order", "big-endian", "float32", "float16", "uint8", "truth values", "images"],
)
def test_arrays_of_any_layout_are_read(inputs):
    """Any memory order, byte order, number type and row shape is read."""
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
    "objects": ({"X": X.astype(object), "y": Y}, "the array X has Python objects; expected numbers"),
    "objects of labels": ({"X": X, "y": Y.astype(object)}, "the array y has Python objects; expected numbers or text"),
    "scalars": ({"X": 1, "y": 2}, "the inputs have shape ()"),
    "text": ({"X": X.astype(str), "y": Y}, "expected numbers"),
    "complex": ({"X": X + 1j, "y": Y}, "of type complex128; expected numbers"),
    "NaN": ({"X": np.where(np.arange(120).reshape(30, 4) == 9, np.nan, X), "y": Y}, "row 3, column 2 is missing (NaN)"),
    "inf": ({"X": np.where(np.arange(120).reshape(30, 4) == 9, -np.inf, X), "y": Y}, "row 3, column 2 is -inf"),
    "inf in half precision": (
        {"X": np.where(np.arange(120).reshape(30, 4) == 9, np.inf, X).astype("float16"), "y": Y},
        "row 3, column 2 is inf",
    ),
    "huge": ({"X": np.where(np.arange(120).reshape(30, 4) == 9, 1e31, X), "y": Y}, "row 3, column 2 is 1e+31"),
    "float labels": ({"X": X, "y": X[:, 0]}, "the labels are of type float64 (row 1 is "),
    "a missing label": ({"X": X, "y": np.where(np.arange(ROWS) == 4, np.nan, Y)}, "row 5 has no label"),
    "an empty label": ({"X": X, "y": np.where(np.arange(ROWS) == 4, "", Y.astype(str))}, "row 5 has no label"),
    "one class": ({"X": X, "y": Y * 0}, "all 30 rows are of class 0"),
    "a class a row": ({"X": X, "y": np.arange(ROWS)}, "30 rows in 30 classes"),
    "a rare class": ({"X": X, "y": np.where(np.arange(ROWS) < 2, 7, Y)}, "only 2 of class 7; expected at least 3"),
}


@pytest.mark.parametrize("case", BAD_ARRAYS)
def test_bad_arrays_are_refused(case):
    """The line has the fault of the arrays and, if there is one, its place."""
    arrays, what = BAD_ARRAYS[case]
    np.savez("own.npz", **arrays)
    assert what in refusal("own.npz")


def test_all_faults_of_arrays_are_named_at_once():
    """Arrays of objects, lengths, splits of other shapes, cells and labels stand in one line."""
    np.savez(
        "own.npz",
        X=np.where(X[2, 1] == X, np.nan, X),
        y=Y * 0,
        X_val=X[:, :2],
        y_val=Y[:5] * 0,
        X_test=X.astype(object),
    )
    line = refusal("own.npz")
    assert line.startswith("own.npz: 6 problems: (1) validation: 30 rows of inputs, and labels of shape (5,)")
    for says in (
        "the array X_test has Python objects",
        "expected one called y_test",
        "the splits have rows of shape (4,), float64, and (2,), float64",
        "row 3, column 2 is missing (NaN)",
        "all 35 rows are of class 0",
    ):
        assert says in line, line


class Gadget:
    """An object that makes a file when it is unpickled."""

    def __reduce__(self):
        return open, ("made", "w")


def test_a_pickle_in_an_array_is_never_run(tmp_path):
    """An object array or a pickle in place of the file is refused, and its code does not run."""
    import pickle

    np.savez("own.npz", X=np.array([[Gadget()]] * ROWS, dtype=object), y=Y)
    refusal("own.npz")
    (tmp_path / "bare.npz").write_bytes(pickle.dumps(Gadget()))
    refusal("bare.npz")
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "is not an .npz file; expected what np.savez(path, X=..., y=...) writes"),
        (b"<html>", "is not an .npz file; expected what np.savez(path, X=..., y=...) writes"),
        (b"PK\x03\x04 torn", "cannot be read as an .npz file"),
        (b"\x93NUMPY", "cannot be read as an .npz file"),
    ],
)
def test_another_file_is_refused_as_npz(content, says, tmp_path):
    """Any other file is refused, without advice to load it as a pickle."""
    (tmp_path / "own.npz").write_bytes(content)
    assert says in refusal("own.npz")
    assert "pickle" not in refusal("own.npz")


def test_a_single_array_is_refused(tmp_path):
    """A renamed .npy file is refused because its array has no name."""
    np.save("own.npy", X)
    (tmp_path / "own.npy").rename("own.npz")
    assert "is a single array without a name" in refusal("own.npz")


def test_a_table_is_read():
    """The last column of a .csv is the target, and the others are features."""
    rows = load_table(write_csv(""))
    np.testing.assert_array_equal(rows.inputs, [[i, float(str(i / 7))] for i in range(9)])
    assert [rows.class_names[c] for c in rows.labels] == list("xyz" * 3)


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_the_target_may_be_any_column(kind):
    """``table.csv:species`` selects the target column; its name may contain a colon."""
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
    """Nullable numbers and truth values of pandas are features; a missing one is kept for the encoding."""
    feature = pd.Series(Y % 2).astype(kind)
    frame = pd.DataFrame({"a": X[:, 0], "b": feature, "y": Y})
    frame.to_parquet("table.parquet")
    assert load_table("table.parquet").inputs[:, 1].tolist() == (Y % 2).tolist()
    if kind != "int8":
        frame.loc[4, "b"] = pd.NA
        frame.to_parquet("holes.parquet")
        rows = load_table("holes.parquet")
        assert np.flatnonzero(np.isnan(rows.inputs[:, 1])).tolist() == [4]
        assert [column.missing for column in rows.columns] == [False, True]


BAD_TABLES = {
    "text": ("1,red,x\n", "row 10, column 'b' is 'red'; expected a number"),
    "infinite": ("1,inf,x\n", "row 10, column 'b' is inf"),
    "no label": ("1,2,\n", "row 10 has no label in column 'y'"),
    "ragged": ("1,2,x,4,5\n", "row 10 has 5 fields, and the header 3"),
    "short": ("1,2,x\n1\n2\n", "rows 11, 12 have 1 field, and the header 3"),
}


@pytest.mark.parametrize("case", BAD_TABLES)
def test_bad_tables_are_refused(case):
    """The line has the row and the column of the fault."""
    text, what = BAD_TABLES[case]
    assert what in refusal(write_csv(text))


def test_a_fractional_target_is_refused():
    """A target of fractions cannot name classes; the line has an example."""
    assert "the labels are of type float64 (row 1 is " in refusal(write_csv("") + ":b")


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"", "cannot be read as a table (No columns"),
        (b"a,y\n", "has no rows"),
        (b"y\n1\n2\n", "has 1 column"),
        (b"a:y\n1:2\n", "has 1 column"),
        (b"a,y\n\xff\xfe,1\n", "Save it in UTF-8"),
    ],
)
def test_another_file_is_refused_as_a_table(content, what, tmp_path):
    """An empty file, a header alone, other separators and other encodings are refused."""
    (tmp_path / "table.csv").write_bytes(content)
    assert what in refusal("table.csv")


def test_another_file_is_refused_as_parquet(tmp_path):
    """A .parquet file with other content is refused."""
    (tmp_path / "table.parquet").write_bytes(b"a,y\n1,2\n")
    assert "cannot be read as a table" in refusal("table.parquet")


def test_an_unknown_target_is_refused():
    """The line lists the columns."""
    assert "no column 'Y'; expected one of a, b, y" in refusal(write_csv("") + ":Y")


@pytest.mark.parametrize("name", ["none.npz", "none.csv", "none.parquet:y"])
def test_a_missing_file_is_refused(name, tmp_path):
    """The line has the folder that was searched."""
    assert str(tmp_path) in refusal(name)


def test_the_home_of_an_unknown_user_is_refused():
    """The line says that there is no such home folder."""
    assert "Give the whole path" in refusal("~nobody-of-this-name/table.csv")


@pytest.mark.parametrize("number", ["", "iris", "-1", "0", "6.1", "²"])
def test_an_openml_number_is_a_number(number):
    """Anything but a positive whole number is refused without a request."""
    assert "expected the number of a data set" in refusal(f"openml:{number}")


@pytest.fixture
def openml(monkeypatch, tmp_path):
    """A server on this machine in place of openml.org, with the answers that scikit-learn's tests have recorded.

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
    """The recorded answer to a request; 412, as openml.org gives, if there is none."""
    parts = path.removeprefix("/api").strip("/").split("/")
    kind = {"features": "jdf", "qualities": "jdq"}.get(parts[3], "jd")
    name = f"data-v1-dl-{parts[3]}.arff.gz" if parts[0] == "data" else f"api-v1-{kind}-{parts[-1]}.json.gz"
    files = [*(importlib.resources.files("sklearn.datasets.tests.data") / "openml").glob(f"*/{name}")]
    return gzip.decompress(files[0].read_bytes()) if files else 412


@pytest.mark.usefixtures("openml")
def test_categories_of_openml_are_columns():
    """A data set with text and missing values is read, with the values of each category."""
    rows = load_table("openml:42585")
    assert (rows.class_names, len(rows)) == (("Adelie", "Chinstrap", "Gentoo"), 344)
    assert {column.name: column.levels for column in rows.columns}["island"] == ("Biscoe", "Dream", "Torgersen")


@pytest.mark.usefixtures("openml")
def test_a_data_set_of_openml_is_read():
    """scikit-learn downloads iris by its number, and the rows are right."""
    rows = load_table("openml:61")
    assert (rows.inputs.shape, rows.class_names) == ((150, 4), ("Iris-setosa", "Iris-versicolor", "Iris-virginica"))
    np.testing.assert_array_equal(rows.inputs[0], [5.1, 3.5, 1.4, 0.2])
    np.testing.assert_array_equal(np.bincount(rows.labels), [50, 50, 50])


def test_a_downloaded_data_set_of_openml_needs_no_network(openml):
    """After the first download, rows are read from the data folder."""
    first = load_table("openml:61")
    openml["/"] = 500
    np.testing.assert_array_equal(load_table("openml:61").inputs, first.inputs)


@pytest.mark.parametrize(
    ("number", "answers", "says"),
    [
        (9, {}, "no such data set on openml.org"),
        (61, {"/": 503}, "openml.org answers 503 (Service Unavailable)"),
        (61, {"/json/": b"<html>"}, "the data cannot be used (Expecting value"),
        (61, {"/download/": b"torn"}, "the data cannot be used (The md5 checksum"),
        (40589, {}, "has no single target column"),
    ],
    ids=["unknown", "server", "no JSON", "torn", "several targets"],
)
def test_a_failure_of_openml_names_its_cause(number, answers, says, openml):
    """An unknown number, a failing server and unusable data have different lines, none of which mentions the network."""
    openml |= answers
    line = refusal(f"openml:{number}")
    assert says in line
    assert "network" not in line


@pytest.mark.filterwarnings("ignore:Version 1 of dataset Australian is inactive")
@pytest.mark.usefixtures("openml")
def test_a_sparse_data_set_of_openml_is_refused():
    """A sparse table is refused."""
    assert "is a sparse table; expected a dense one" in refusal("openml:292")


@pytest.mark.usefixtures("openml")
def test_an_unwritable_data_folder_is_named(tmp_path):
    """With a file in place of the folder, the line has its path."""
    (tmp_path / "kept").write_text("")
    assert f"cannot be kept in {tmp_path / 'kept'}" in refusal("openml:61")


def test_a_wrong_argument_for_scikit_learn_is_a_bug(monkeypatch):
    """An argument that scikit-learn refuses raises its error and not a UserError."""
    monkeypatch.setattr("sklearn.datasets.fetch_openml", functools.partial(fetch_openml, delay=-1))
    with pytest.raises(ValueError, match="'delay' parameter") as caught:
        load_table("openml:61")
    assert not isinstance(caught.value, UserError)


def test_openml_out_of_reach_is_one_line(monkeypatch, tmp_path):
    """Without a connection the line has the number and mentions the network."""
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("BABYSIT_DATA_DIR", str(tmp_path))
    monkeypatch.setattr(_openml, "time", types.SimpleNamespace(sleep=lambda _: None))
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    line = refusal("openml:61")
    assert line.startswith("openml:61: openml.org cannot be reached (<urlopen error ")
    assert "network" in line


def test_numbers_of_more_than_64_bits_are_refused(tmp_path):
    """An array of long doubles is refused with its file and its type."""
    path = tmp_path / "long.npz"
    np.savez(path, X=np.zeros((9, 2), np.longdouble), y=np.arange(9) % 3)
    with pytest.raises(
        UserError, match=r"long\.npz: the inputs are of type float128; expected numbers of up to 64 bits"
    ):
        load_table(str(path))
