"""The console as Snakemake's logger: an error of ours must not end the thread that hands records on."""

import logging
from types import SimpleNamespace

from snakemake_logger_plugin_fedscape import LogHandler


def plugin():
    settings = SimpleNamespace(
        stdout=False, verbose=False, dryrun=False, show_failed_logs=False, quiet=None, nocolor=True
    )
    return LogHandler(settings, None)


def record(message, level=logging.INFO, **fields):
    return logging.makeLogRecord({"msg": message, "levelno": level, **fields})


def test_a_record_that_cannot_be_shown_hides_no_later_one(capsys):
    handler = plugin()
    handler.emit(record("a job", event="job_info"))  # of a later Snakemake, without the fields
    handler.emit(record("a warning", logging.WARNING))
    told = capsys.readouterr().err
    assert "KeyError: 'wildcards'" in told and told.endswith("a warning\n")


def test_an_end_that_cannot_be_told_ends_the_call(capsys, monkeypatch):
    handler = plugin()

    def fail():
        raise ValueError("no end")

    monkeypatch.setattr(handler._console, "close", fail)
    handler.close()
    assert "ValueError: no end" in capsys.readouterr().err
