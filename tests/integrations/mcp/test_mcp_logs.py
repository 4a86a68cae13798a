import logging

import pytest

from prefmem_mcp.logs import log_places


def test_what_others_say_stays_out_of_the_log(capsys: pytest.CaptureFixture[str]) -> None:
    log_places()
    try:
        raise ValueError("ann's words")
    except ValueError:
        logging.getLogger("mcp.server").exception("cannot take %s", "ann's words")
    logging.getLogger("mcp.server").info("ann's words")
    logging.getLogger("prefmem.mcp").warning("%s failed with %s", "add", "OSError")
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2
    assert lines[0].startswith(
        "ERROR mcp.server: in test_what_others_say_stays_out_of_the_log, line "
    )
    assert lines[0].endswith(" (ValueError)")
    assert lines[1] == "WARNING prefmem.mcp: add failed with OSError"
