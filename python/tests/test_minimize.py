"""`lgf.minimize` beside SciPy, and what it does when something goes wrong."""

import os
import pathlib
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
from scipy.optimize import Bounds, LinearConstraint, minimize, rosen, rosen_der

import lgf


def valley(x):
    return rosen(x), rosen_der(x)


def test_the_result_is_scipys():
    result = lgf.minimize(valley, [-1.2, 1.0])
    assert result.success and result.status == 0
    np.testing.assert_allclose(result.x, 1.0, atol=1e-6)
    # What is reported is what the function says at x.
    assert (result.fun, list(result.jac)) == (rosen(result.x), list(rosen_der(result.x)))
    assert result.nfev == result.njev == len(result.history) and result.history["fun"].min() == result.fun
    assert result["report"]["true_evaluations"] == result.nfev
    assert "nfev" in repr(result) and "message" in dir(result)
    with pytest.raises(AttributeError):
        result.nonsense  # noqa: B018


@pytest.mark.parametrize("d", [2, 5, 20])
def test_no_more_evaluations_than_l_bfgs_needs_by_much(d):
    x0 = np.zeros(d) if d > 2 else np.array([-1.2, 1.0])
    values = []

    def recorded(x):
        values.append(rosen(x))
        return values[-1], rosen_der(x)

    minimize(recorded, x0, jac=True, method="L-BFGS-B", options={"ftol": 0, "gtol": 1e-10})
    theirs = 1 + next(n for n, value in enumerate(values) if value <= 1e-8)
    ours = lgf.minimize(valley, x0, target=1e-8)
    assert ours.fun <= 1e-8 and ours.nfev <= 1.2 * theirs, (ours.nfev, theirs)


def test_gradients_in_their_own_function_and_by_differences():
    shifted = lambda x, a, b: np.sum((x - a) ** 2) + b
    slope = lambda x, a, b: 2 * (x - a)
    result = lgf.minimize(shifted, np.zeros((2, 3)), (3.0, 1.0), jac=slope)
    assert result.x.shape == result.jac.shape == (2, 3)
    np.testing.assert_allclose(result.x, 3.0)
    result = lgf.minimize(shifted, np.zeros(2), (3.0, 1.0), jac="2-point")
    np.testing.assert_allclose(result.x, 3.0, atol=1e-6)
    # A gradient by differences is d more evaluations.
    assert result.nfev == 3 * result.njev


@pytest.mark.parametrize("bounds", [[(-2, 0.5), (None, 2)], Bounds([-2, -np.inf], [0.5, 2])])
def test_bounds_as_scipy_gives_them(bounds):
    theirs = minimize(rosen, [-1.2, 1.0], jac=rosen_der, bounds=bounds, method="L-BFGS-B")
    ours = lgf.minimize(valley, [-1.2, 1.0], bounds=bounds)
    np.testing.assert_allclose(ours.x, theirs.x, atol=1e-5)
    assert ours.fun <= theirs.fun * (1 + 1e-9)


def test_one_pair_of_bounds_is_for_all_and_a_start_outside_is_moved():
    with pytest.warns(UserWarning, match="outside of the bounds"):
        result = lgf.minimize(lambda x: (np.sum((x - 2) ** 2), 2 * (x - 2)), [5.0, 0.0], bounds=(0, 1))
    np.testing.assert_array_equal(result.x, [1, 1])


def test_a_volume_bound():
    target = np.array([1.0, 0.5, 0.0, 0.7])
    distance = lambda x: (np.sum((x - target) ** 2), 2 * (x - target))
    result = lgf.minimize(distance, np.full(4, 0.1), bounds=(0, 1), volume=0.4)
    assert result.x.mean() <= 0.4 * (1 + 1e-12)
    # The projection: clip(target - mu) with a sum of 1.6, so mu = 0.2.
    np.testing.assert_allclose(result.x, [0.8, 0.3, 0.0, 0.5], atol=1e-6)
    constraint = LinearConstraint(np.ones((1, 4)), -np.inf, 1.6)
    same = minimize(
        distance,
        np.full(4, 0.1),
        jac=True,
        bounds=[(0, 1)] * 4,
        constraints=constraint,
        method=lgf.scipy_method,
    )
    np.testing.assert_allclose(same.x, result.x, atol=1e-6)


def test_as_a_method_of_scipy():
    seen = []
    result = minimize(
        rosen,
        [-1.2, 1.0],
        jac=rosen_der,
        method=lgf.scipy_method,
        tol=1e-8,
        callback=lambda x: seen.append(x.copy()),
        options={"maxiter": 500, "options": {"memory": 8}},
    )
    assert result.success and abs(result.fun) < 1e-12
    assert len(seen) > 3 and len(str(result).splitlines()) < 30
    with pytest.raises(lgf.SettingsError, match="no option 'speed'"):
        minimize(rosen, [-1.2, 1.0], jac=rosen_der, method=lgf.scipy_method, options={"speed": 9})


@pytest.mark.parametrize(
    ("method", "options"),
    [
        ("adam", {"rate": 0.1}),
        ("momentum", {"rate": 0.05, "friction": 1.0}),
        ("gradient-descent", {"rate": 0.05}),
        ("adaptive", {"flow": "adam", "rate": 0.1}),
        ("field", {"flow": "gradient-descent", "rate": 0.05, "horizon": 10}),
        ("fixed", {"flow": "adam", "rate": 0.1, "history": 5, "interval": 10}),
        ("cosine", {"flow": "adam", "rate": 0.1}),
        ("potential", {"order": 3}),
    ],
)
def test_every_method_descends(method, options):
    bowl = lambda x: (np.sum(np.arange(1, 6) * x**2), 2 * np.arange(1, 6) * x)
    result = lgf.minimize(bowl, np.ones(5), method=method, options=options, max_evaluations=80)
    assert result.fun < 0.05 * 15


def test_callbacks_see_trusted_iterates_and_end_the_run():
    seen = []

    def watch(intermediate_result):
        seen.append(intermediate_result.fun)
        if len(seen) == 5:
            raise StopIteration

    result = lgf.minimize(valley, [-1.2, 1.0], callback=watch)
    assert len(seen) == 5 and seen == sorted(seen, reverse=True)
    assert (result.success, result.status) == (False, 99) and result.fun == seen[-1]
    assert lgf.minimize(valley, [-1.2, 1.0], callback=lambda x: True).nfev == 1


class MyError(Exception):
    pass


def test_what_python_raises_comes_back_with_the_best_result():
    calls = []

    def fails(x):
        calls.append(x)
        if len(calls) == 12:
            raise MyError("the solver has given up")
        return valley(x)

    with pytest.raises(MyError, match="given up") as raised:
        lgf.minimize(fails, [-1.2, 1.0])
    best = raised.value.lgf_result
    assert best.fun == min(rosen(x) for x in calls[:11]) and not best.success
    with pytest.raises(MyError):
        lgf.minimize(lambda x: (_ for _ in ()).throw(MyError()), [0.0])


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (lambda x: 1.0, "pair"),
        (lambda x: (1.0, [1.0, 2.0, 3.0]), "3 entries"),
        (lambda x: (1.0, None), "gradient is None"),
        (lambda x: (np.ones(2), np.ones(2)), "one number"),
        (lambda x: ("a", np.ones(2)), "could not convert"),
    ],
)
def test_wrong_answers_are_named(answer, words):
    with pytest.raises((TypeError, ValueError), match=words):
        lgf.minimize(answer, [0.0, 0.0])


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"method": "newton"}, "no method or flow `newton`"),
        ({"method": "adam"}, "needs a rate"),
        ({"method": "adaptive"}, "needs the flow"),
        ({"options": {"memroy": 3}}, "no option `memroy`; it has memory, "),
        ({"options": {"memory": 1000}}, "between 1 and 64"),
        ({"bounds": [(0, 1)]}, "1 entries"),
        ({"bounds": [(2, 1), (0, 1)]}, "interval"),
        ({"tolerance": -1.0}, "tolerance"),
        ({"max_evaluations": 0}, "at least 1"),
        ({"engine": "tpu"}, "auto, cpu, cpu-f32 and gpu"),
        ({"jac": 3}, "jac is True"),
        ({"volume": 0.5}, "needs bounds"),
    ],
)
def test_wrong_settings_are_one_sentence(given, words):
    with pytest.raises(lgf.SettingsError, match=words) as raised:
        lgf.minimize(valley, [0.1, 0.2], **given)
    assert isinstance(raised.value, ValueError) and "\n" not in str(raised.value)


def test_values_that_are_not_finite_end_the_run_with_the_best():
    calls = []

    def breaks(x):
        calls.append(x)
        value, slope = valley(x)
        return (value if len(calls) < 8 else np.nan), slope

    result = lgf.minimize(breaks, [-1.2, 1.0], method="gradient-descent", options={"rate": 1e-3}, tolerance=0)
    assert not result.success and "non-finite" in result.message and np.isfinite(result.fun)


def test_a_minimum_is_a_success_at_once():
    result = lgf.minimize(valley, [1.0, 1.0])
    assert result.success and result.fun == 0


def test_a_run_goes_on_to_the_same_bits(tmp_path):
    whole = lgf.minimize(valley, [-1.2, 1.0])
    calls = []

    def killed(x):
        calls.append(x)
        if len(calls) == 20:
            raise MyError
        return valley(x)

    with pytest.raises(MyError):
        lgf.minimize(killed, [-1.2, 1.0], checkpoint=tmp_path / "run")
    again = []
    result = lgf.minimize(lambda x: (again.append(x), valley(x))[1], [-1.2, 1.0], resume=tmp_path / "run")
    assert len(again) == whole.nfev - 19
    np.testing.assert_array_equal(result.history, whole.history)
    np.testing.assert_array_equal(result.x, whole.x)
    # The run has ended well, so there is nothing left to go on from.
    assert not (tmp_path / "run").exists()
    with pytest.raises(lgf.FileError):
        lgf.minimize(valley, [-1.2, 1.0], resume=tmp_path / "run")


def test_another_problem_is_not_gone_on_with(tmp_path):
    with pytest.raises(ZeroDivisionError):
        lgf.minimize(lambda x: (1 / 0, x), [1.0], checkpoint=tmp_path)
    lgf.minimize(valley, [-1.2, 1.0], checkpoint=tmp_path, callback=lambda x: True)
    with pytest.raises(lgf.FileError, match="another run"):
        lgf.minimize(valley, [-1.2, 1.1], resume=tmp_path)


def test_other_threads_run_while_the_engine_works():
    counted, stop = [0], threading.Event()

    def count():
        while not stop.is_set():
            counted[0] += 1
            time.sleep(1e-4)

    thread = threading.Thread(target=count)
    thread.start()
    # 2·10⁵ unknowns: most of the time is the engine's.
    weights = np.linspace(1, 50, 200_000)
    lgf.minimize(
        lambda x: (0.5 * weights @ (x * x), weights * x),
        np.ones(weights.size),
        engine="cpu",
        max_evaluations=10,
    )
    stop.set()
    thread.join()
    assert counted[0] > 10


SLOW = """
import signal, time, numpy as np, lgf
# A shell that starts something in the background lets it ignore Ctrl-C.
signal.signal(signal.SIGINT, signal.default_int_handler)
def slow(x):
    print("evaluated", flush=True)
    time.sleep(0.2)
    # Rosenbrock's valley, which takes 47 evaluations.
    a, b = x
    t = b - a * a
    return 100 * t * t + (1 - a) ** 2, np.array([-400 * a * t - 2 * (1 - a), 200 * t])
try:
    lgf.minimize(slow, [-1.2, 1.0])
except KeyboardInterrupt as stopped:
    print("best", stopped.lgf_result.fun, flush=True)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
def test_ctrl_c_is_a_keyboard_interrupt_with_the_best_result():
    run = subprocess.Popen([sys.executable, "-c", SLOW], stdout=subprocess.PIPE, text=True)
    for _ in range(3):
        assert run.stdout.readline() == "evaluated\n"
    os.kill(run.pid, signal.SIGINT)
    assert run.communicate(timeout=60)[0].splitlines()[-1].startswith("best ")
    assert run.returncode == 0


def test_arrays_of_other_kinds_are_taken():
    for x0 in (
        [1, 2],
        (1.0, 2.0),
        np.array([1, 2], dtype=np.float32),
        np.ones((4, 2))[::2, 0],
        np.float64(3.0),
    ):
        result = lgf.minimize(lambda x: (np.sum(x * x), (2 * x).astype(np.float32)), x0)
        assert result.x.shape == np.shape(x0) and result.x.dtype == np.float64


def test_settings_show_what_can_be_changed():
    assert lgf.settings("adam", rate=0.5)["plain"]["adam"]["beta1"] == 0.9
    assert lgf.settings("fixed", flow="oc", history=7)["field"]["cadence"]["fixed"]["history"] == 7
    assert lgf.settings("potential", dimension=10**7)["potential"]["steps"] == 100


def test_types_are_shipped():
    folder = pathlib.Path(lgf.__file__).parent
    assert (folder / "py.typed").exists() and (folder / "_lgf.pyi").exists()
