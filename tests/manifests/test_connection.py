from pathlib import Path

import duckdb
import pytest

from manifests import create_lake, open_lake


def test_no_connection_loads_an_extension_without_a_valid_signature(tmp_path: Path) -> None:
    create_lake(tmp_path / "lake").close()
    with open_lake(tmp_path / "lake") as lake:  # not the first of this process: its own extensions were not checked again
        path = lake.value("SELECT install_path FROM duckdb_extensions() WHERE extension_name = 'ducklake'")
        data = bytearray(Path(path).read_bytes())
        data[len(data) // 2] ^= 1
        forged = tmp_path / "forged.duckdb_extension"
        forged.write_bytes(data)
        with pytest.raises(duckdb.IOException, match="signature"):
            lake.connection.execute(f"LOAD '{forged}'")
        with pytest.raises(duckdb.InvalidInputException):
            lake.connection.execute("SET allow_unsigned_extensions = true")
