from collections.abc import Callable

import pytest


def test_a_missing_program_skips_here_and_fails_under_ci(need_program: Callable[[str], str], monkeypatch: pytest.MonkeyPatch) -> None:
    assert need_program("sh").endswith("/sh")
    monkeypatch.delenv("GOLDSIEVE_CI", raising=False)
    with pytest.raises(pytest.skip.Exception, match="no-such-program"):
        need_program("no-such-program")
    monkeypatch.setenv("GOLDSIEVE_CI", "1")
    with pytest.raises(pytest.fail.Exception, match="no-such-program"):
        need_program("no-such-program")
