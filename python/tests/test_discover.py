"""`lgf.discover`: known equations from recordings of many kinds."""

import numpy as np
import pytest
from scipy.integrate import solve_ivp

import lgf


def lorenz(t, x):
    return [10 * (x[1] - x[0]), x[0] * (28 - x[2]) - x[1], x[0] * x[1] - 8 / 3 * x[2]]


def record(start, t):
    return solve_ivp(lorenz, (t[0], t[-1]), start, t_eval=t, rtol=1e-10, atol=1e-10).y.T


TIMES = np.linspace(0, 8, 1601)
LORENZ = record([-8, 8, 27], TIMES)


def test_lorenz():
    model = lgf.discover(LORENZ, TIMES, targets="weak", names=["x", "y", "z"])
    assert model.equations() == [
        "dx/dt = -10.00 x + 10.00 y",
        "dy/dt = 28.00 x - 1.000 y - 1.000 x z",
        "dz/dt = -2.667 z + 1.000 x y",
    ]
    assert model.coefficients.shape == (len(model.feature_names), 3)
    assert np.count_nonzero(model.coefficients) == 7
    np.testing.assert_allclose(model.predict([[1.0, 2.0, 3.0]]), [lorenz(0, [1, 2, 3])], rtol=1e-3)
    np.testing.assert_allclose(model.simulate(LORENZ[0], TIMES[:200])[-1], LORENZ[199], rtol=1e-3)
    assert model.score(LORENZ, TIMES) > 0.999


def test_several_runs_and_a_grid_of_parameters():
    runs = [LORENZ, record([5, 5, 20], TIMES[:801])]
    model = lgf.Model(targets="weak").fit(runs, [TIMES, TIMES[:801]])
    assert np.count_nonzero(model.coefficients) == 7
    again = lgf.Model(targets="weak").fit(runs, dt=TIMES[1])
    np.testing.assert_allclose(again.coefficients, model.coefficients, rtol=1e-6)
    stacked = lgf.Model(targets="weak").fit(np.stack([LORENZ[:801], LORENZ[800:]]), TIMES[:801])
    assert np.count_nonzero(stacked.coefficients) == 7


def test_frames_give_names_and_times():
    pandas = pytest.importorskip("pandas")
    t = np.linspace(0, 6, 601)
    frame = pandas.DataFrame({"angle": np.cos(t), "speed": -np.sin(t)}, index=t)
    assert lgf.discover(frame, differences=4).equations() == [
        "dangle/dt = 1.000 speed",
        "dspeed/dt = -1.000 angle",
    ]


def test_inputs_time_maps_and_reduced_variables():
    t = np.linspace(0, 6, 601)
    pushed = lgf.discover(np.sin(t), t, u=np.cos(t), order=1)
    assert pushed.equations() == ["dx1/dt = 1.000 u1"]
    simulated = pushed.simulate([0.0], t, np.cos(t))
    np.testing.assert_allclose(simulated[:, 0], np.sin(t), atol=1e-4)
    grown = lgf.discover(t**2 / 2, t, terms=["time"], order=1)
    assert grown.equations() == ["dx1/dt = 1.000 t"]
    np.testing.assert_allclose(grown.predict([[0.0], [0.0]], t=[1.0, 2.0]), [[1.0], [2.0]], rtol=1e-6)
    halved = lgf.discover(0.5 ** np.arange(20.0), targets="map", order=1)
    assert halved.equations() == ["x1[k+1] = 0.5000 x1[k]"] or "0.5000 x1" in halved.equations()[0]
    np.testing.assert_allclose(halved.predict([[8.0]]), [[4.0]])
    assert halved.score(0.5 ** np.arange(20.0)) > 0.999999
    swing = np.column_stack([np.cos(t), -np.sin(t), np.cos(t) - np.sin(t)])
    reduced = lgf.discover(swing, t, rank=2, differences=4)
    np.testing.assert_allclose(
        reduced.predict(swing[100:101]), [[-np.sin(1), -np.cos(1), -np.sin(1) - np.cos(1)]], atol=1e-4
    )


def test_scikit_learns_manners():
    model = lgf.Model(order=3, threshold=0.1)
    assert model.get_params()["order"] == 3 and repr(model) == "Model(order=3, threshold=0.1)"
    assert model.set_params(order=1).order == 1
    with pytest.raises(lgf.SettingsError, match="no parameter 'ordr'"):
        model.set_params(ordr=2)
    with pytest.raises(lgf.SettingsError, match="call fit first"):
        model.equations()
    sklearn = pytest.importorskip("sklearn.base")
    assert sklearn.clone(model).get_params() == model.get_params()


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"x": LORENZ}, "give the times"),
        ({"x": LORENZ, "t": TIMES[:-1]}, "1600"),
        ({"x": LORENZ, "t": TIMES, "terms": ["gamma"]}, "no term `gamma`"),
        ({"x": LORENZ, "t": TIMES, "targets": "soft"}, "strong, weak, tracked or map"),
        ({"x": np.full((9, 1), np.nan), "dt": 0.1}, "finite"),
        ({"x": LORENZ, "dt": 0.0}, "above 0"),
        ({"x": [LORENZ, LORENZ], "t": [TIMES]}, "1 entries"),
    ],
)
def test_wrong_recordings_are_one_sentence(given, words):
    with pytest.raises(lgf.SettingsError, match=words):
        lgf.discover(**given)
