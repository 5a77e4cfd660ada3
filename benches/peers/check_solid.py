"""Checks a run folder's design.stl and design.vti against design.npy with trimesh and meshio or VTK.

Usage: check_solid.py FOLDER [SIDE_X SIDE_Y SIDE_Z]

The density in design.npy has the axes [x, y, z]. The cells' sides come from design.vti unless they are given.
The script prints what it finds, and its exit status is 1 if anything is wrong. It needs numpy and trimesh,
and vtk (pyvista brings it) for the .vti file; without vtk it reads that file on its own.
"""

import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
import trimesh

VOLUME_TOLERANCE = 0.01


def read_vti_alone(path):
    """Reads appended raw Float32 arrays and returns the cells' counts, the spacing and both kinds of data."""
    content = path.read_bytes()
    start = content.index(b'<AppendedData encoding="raw">')
    begin = content.index(b"_", start) + 1
    root = ElementTree.fromstring(content[:start] + b"</VTKFile>")
    image = root.find("ImageData")
    extent = [int(word) for word in image.get("WholeExtent").split()]
    spacing = np.array([float(word) for word in image.get("Spacing").split()])

    def arrays(kind):
        found = {}
        for array in image.find("Piece").find(kind):
            at = begin + int(array.get("offset"))
            length = int(np.frombuffer(content, "<u8", 1, at)[0])
            values = np.frombuffer(content, "<f4", length // 4, at + 8)
            components = int(array.get("NumberOfComponents"))
            found[array.get("Name")] = values.reshape(-1, components) if components > 1 else values
        return found

    size = [extent[1] - extent[0], extent[3] - extent[2], extent[5] - extent[4]]
    return size, spacing, arrays("CellData"), arrays("PointData")


def read_vti_with_vtk(path):
    """Reads the same with VTK, whose errors on the file become an exception."""
    from vtkmodules.util.numpy_support import vtk_to_numpy
    from vtkmodules.vtkIOXML import vtkXMLImageDataReader

    reader = vtkXMLImageDataReader()
    reader.SetFileName(str(path))
    reader.Update()
    if reader.GetErrorCode():
        raise ValueError(f"VTK reports the error {reader.GetErrorCode()} for {path}")
    image = reader.GetOutput()

    def arrays(data):
        names = [data.GetArrayName(i) for i in range(data.GetNumberOfArrays())]
        return {name: vtk_to_numpy(data.GetArray(name)) for name in names}

    size = [max(n - 1, 0) for n in image.GetDimensions()]
    return size, np.array(image.GetSpacing()), arrays(image.GetCellData()), arrays(image.GetPointData())


def main():
    folder = Path(sys.argv[1])
    wrong = []

    def check(fact, holds):
        print(f"{'ok   ' if holds else 'WRONG'} {fact}")
        if not holds:
            wrong.append(fact)

    density = np.load(folder / "design.npy").astype(float)
    if density.ndim == 2:
        density = density[:, :, None]
    size, spacing, cells, points = read_vti_alone(folder / "design.vti")
    readers = [("own reader", (size, spacing, cells, points))]
    try:
        readers.append(("VTK", read_vti_with_vtk(folder / "design.vti")))
    except ImportError:
        print("      VTK is not installed, so design.vti is read without it")
    sides = np.array([float(word) for word in sys.argv[2:5]]) if len(sys.argv) > 4 else spacing
    flat = size[2] == 0
    for name, (size, spacing, cells, points) in readers:
        sized = np.allclose(spacing, sides)
        check(f"{name}: design.vti has {size} cells with sides {spacing.tolist()}", sized)
        counts = tuple(max(n, 1) for n in size)
        check(f"{name}: its cells are those of design.npy {density.shape}", counts == density.shape)
        check(f"{name}: cell data {sorted(cells)}, point data {sorted(points)}", "density" in cells)
        expected = density.reshape(-1, order="F").astype("f4")
        same = "density" in cells and np.array_equal(np.ravel(cells["density"]), expected)
        check(f"{name}: the density of design.vti equals design.npy", same)
        nodes = int(np.prod([n + 1 for n in size]))
        check(f"{name}: every point field has {nodes} entries", all(len(v) == nodes for v in points.values()))
        finite = all(np.isfinite(v).all() for v in [*cells.values(), *points.values()])
        check(f"{name}: all values are finite", finite)
    if flat:
        print("      the mesh is flat, so no surface is expected")
    else:
        mesh = trimesh.load(folder / "design.stl")
        counts = f"{len(mesh.faces)} triangles and {len(mesh.vertices)} vertices"
        check(f"design.stl has {counts}", len(mesh.faces) > 0)
        check("the surface is watertight", mesh.is_watertight)
        check("its triangles are consistently oriented", mesh.is_winding_consistent)
        check("no triangle is empty", bool((mesh.area_faces > 0).all()))
        target = density.clip(0, 1).sum() * sides.prod()
        share = mesh.volume / target
        near = abs(share - 1) < VOLUME_TOLERANCE
        check(f"its volume {mesh.volume:.6g} is {share:.5f} of the density's", near)
        low, high = mesh.bounds
        room = 1e-5 * (sides * density.shape).max()
        within = (low >= -room).all() and (high <= sides * density.shape + room).all()
        check(f"its bounds {low.tolist()} {high.tolist()} lie within the domain", within)
    print(f"{len(wrong)} of the checks failed" if wrong else "all checks passed")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
