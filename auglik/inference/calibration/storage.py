"""Posteriors as one NetCDF file."""

from pathlib import Path
from typing import BinaryIO

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
