"""Posteriors as one NetCDF file, and ArviZ's table of them."""

from pathlib import Path
from typing import BinaryIO

import xarray
from arviz_stats import summary as arviz_summary  # type: ignore[attr-defined]

from auglik.inference.calibration.results import Calibration
from auglik.system.files import atomic_write

REPORTED = ("curve", "intercept", "slope", "concentration")


def save(calibration: Calibration, path: Path) -> None:
    """The tree as NetCDF 4, that `xarray.open_datatree` and `arviz.from_netcdf` read; whole or absent.

    Raises InputError if the system refuses.
    """

    def write(file: BinaryIO) -> None:
        file.write(calibration.data.to_netcdf(engine="h5netcdf"))

    atomic_write(path, write)


def summary(calibration: Calibration) -> xarray.Dataset:
    """`arviz_stats.summary` of the cells' quantities: means, intervals, R-hat, ESS; columns over (quantity, cell)."""
    table = arviz_summary(calibration.data, var_names=list(REPORTED), fmt="xarray", round_to=None)
    return table.to_dataset() if isinstance(table, xarray.DataArray) else table
