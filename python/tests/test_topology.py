"""`lgf.topology`: the same designs as the command line's."""

import json
import struct

import numpy as np
import pytest

import lgf

TABLE = {
    "volume": 0.4,
    "radius": 1.5,
    "mesh": {"elements": [24, 8]},
    "supports": [{"at": {"plane": {"axis": "x", "at": 0}}, "fix": "xy"}],
    "load-cases": [{"loads": [{"at": {"point": [24.0, 0.0]}, "force": {"total": [0.0, -1.0]}}]}],
}


def test_a_preset_is_the_command_lines():
    result = lgf.topology("mbb", size=(60, 20), engine="cpu")
    # README: 233.8 at 60x20 in less than 60 evaluations.
    assert result.success and result.fun < 236 and result.nfev < 60
    assert result.density.shape == result.variables.shape == (20, 60)
    assert abs(result.density.mean() - 0.5) < 1e-6 and abs(result.volume - 0.5) < 1e-6
    assert result.spent["given_grid"] == result.nfev and result.levels
    values = sum(case["weight"] * case["compliance"] for case in result.load_cases)
    assert values == pytest.approx(result.fun, rel=1e-9)


def test_a_structure_from_a_dictionary_a_file_and_with_changes(tmp_path):
    structure = lgf.Structure(TABLE, volume=0.5)
    assert structure.size == (24, 8) and structure.to_dict()["volume"] == 0.5
    path = tmp_path / "beam.toml"
    path.write_text(structure.to_toml())
    from_file = lgf.topology(path, engine="cpu", max_evaluations=15)
    from_table = lgf.topology(TABLE, volume=0.5, engine="cpu", max_evaluations=15)
    np.testing.assert_array_equal(from_file.density, from_table.density)
    finer = lgf.topology(structure, size="36x12", engine="cpu", max_evaluations=5)
    assert finer.density.shape == (12, 36)


def test_three_dimensions_files_and_a_start_from_another_resolution(tmp_path):
    seen = []
    result = lgf.topology(
        "cantilever",
        size=(16, 8, 8),
        engine="cpu",
        max_evaluations=8,
        callback=lambda intermediate_result: seen.append(intermediate_result.grid),
    )
    assert result.density.shape == (16, 8, 8) and "16x8x8" in seen[-1]
    result.to_stl(tmp_path / "design.stl")
    content = (tmp_path / "design.stl").read_bytes()
    assert len(content) == 84 + 50 * struct.unpack("<I", content[80:84])[0]
    result.to_vti(tmp_path / "design.vti")
    assert b"VTKFile" in (tmp_path / "design.vti").read_bytes()[:200]
    result.save(tmp_path / "run")
    np.testing.assert_array_equal(np.load(tmp_path / "run" / "design.npy"), result.density)
    assert json.loads((tmp_path / "run" / "record.json").read_text())["fun"] == result.fun
    for start in (result.variables, tmp_path / "run", str(tmp_path / "run" / "variables.npy")):
        finer = lgf.topology("cantilever", size=(24, 12, 12), start=start, engine="cpu", max_evaluations=2)
        # A design that is gone on from is far better than a uniform one, which is some three times as soft.
        assert finer.history["fun"][0] < 2 * result.fun


def test_pictures():
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    plane = lgf.topology("mbb", size=(24, 8), engine="cpu", max_evaluations=3)
    assert plane.plot().get_array().shape == (8, 24)
    solid = lgf.topology("cantilever", size=(8, 4, 4), engine="cpu", max_evaluations=2)
    from matplotlib import pyplot

    assert solid.plot(pyplot.figure().add_subplot()).get_array().ndim == 3
    with pytest.raises(lgf.SettingsError, match="plane have no design.stl"):
        plane.to_stl("never.stl")


@pytest.mark.parametrize(
    ("source", "given", "error", "words"),
    [
        ("mbb", {}, lgf.SettingsError, "needs its size"),
        ("bridges", {"size": (4, 4)}, lgf.SettingsError, "no preset and no file `bridges`"),
        ("torsion", {"size": (4, 4)}, lgf.SettingsError, "three numbers"),
        ("mbb", {"size": (-4, 4)}, lgf.SettingsError, "whole numbers"),
        ("mbb", {"size": (4.5, 4)}, lgf.SettingsError, "whole numbers"),
        ("mbb", {"size": 60}, lgf.SettingsError, "whole numbers"),
        ("no.toml", {}, lgf.FileError, "no.toml"),
        ({**TABLE, "volum": 0.3}, {}, lgf.SettingsError, "volum"),
        ({**TABLE, "supports": []}, {}, lgf.SettingsError, "held"),
        (TABLE, {"volume": 2.0}, lgf.SettingsError, "volume"),
        (TABLE, {"start": np.ones((2, 2, 2))}, lgf.FileError, "axes"),
        (TABLE, {"gradient": "fpga"}, lgf.SettingsError, "auto, cpu or gpu"),
    ],
)
def test_wrong_structures_are_one_sentence(source, given, error, words):
    with pytest.raises(error, match=words) as raised:
        lgf.topology(source, **{"engine": "cpu", **given})
    assert "\n" not in str(raised.value)


def test_a_run_that_is_stopped_goes_on_to_the_same_bits(tmp_path):
    given = {"size": (12, 6, 6), "engine": "cpu", "max_evaluations": 10}
    whole = lgf.topology("cantilever", **given)

    class Stop(Exception):
        pass

    def stop(intermediate_result):
        if intermediate_result.grid.startswith("12x6x6") and intermediate_result.nfev == 4:
            raise Stop

    with pytest.raises(Stop) as raised:
        lgf.topology("cantilever", **given, callback=stop, checkpoint=tmp_path / "run")
    assert raised.value.lgf_result.density.shape == (12, 6, 6)
    result = lgf.topology("cantilever", **given, resume=tmp_path / "run")
    np.testing.assert_array_equal(result.density, whole.density)
    np.testing.assert_array_equal(result.history, whole.history)


@pytest.mark.parametrize("method", ["oc", "adaptive", "potential"])
def test_methods(method):
    result = lgf.topology("mbb", size=(30, 10), method=method, engine="cpu", max_evaluations=40)
    assert result.fun < 260
