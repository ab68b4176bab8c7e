import pytest

from manifests import create_lake, open_lake
from manifests.errors import LakeError


@pytest.fixture
def old_lake(tmp_path):
    """A lake as format 2 had it: without protected sets and what is known of attempts at captions."""
    folder = tmp_path / "lake"
    with create_lake(folder) as lake:
        lake.connection.execute("DROP TABLE protected")
        for name in ("outcome", '"error"', "route", "plan", "structured", "media_hash", "request_key", "clip_before", "clip_after"):
            lake.connection.execute(f"ALTER TABLE captions DROP COLUMN {name}")
        lake.connection.execute("UPDATE goldsieve SET value = '2' WHERE key = 'format_version'")
    return folder


def test_an_older_lake_is_read_after_a_command_that_writes(old_lake):
    with pytest.raises(LakeError, match=r"format 2, this goldsieve reads format 4.*goldsieve gc"):
        open_lake(old_lake)
    open_lake(old_lake, read_only=False).close()
    with open_lake(old_lake) as lake:
        assert lake.value("SELECT count(*) FROM wide") == 0
        assert lake.value("SELECT count(*) FROM protected") == 0
        assert lake.value("SELECT count(outcome) FROM captions") == 0


def test_a_later_lake_is_refused(old_lake):
    with open_lake(old_lake, read_only=False) as lake:
        lake.connection.execute("UPDATE goldsieve SET value = '99' WHERE key = 'format_version'")
    for read_only in (True, False):
        with pytest.raises(LakeError, match="upgrade goldsieve"):
            open_lake(old_lake, read_only=read_only)
