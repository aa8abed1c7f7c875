"""The console as Snakemake's logger: an error of ours must not end the thread that hands records on."""

import logging

from snakemake_interface_logger_plugins.settings import OutputSettingsLoggerInterface

from snakemake_logger_plugin_fedscape import LogHandler


class Settings(OutputSettingsLoggerInterface):
    """As for a call without options."""

    stdout = verbose = dryrun = show_failed_logs = printshellcmds = debug_dag = False
    nocolor = True
    quiet = None


def record(message, level=logging.INFO, **fields):
    return logging.makeLogRecord({"msg": message, "levelno": level, **fields})


def test_a_record_that_cannot_be_shown_hides_no_later_one(capsys):
    handler = LogHandler(Settings(), None)
    handler.emit(record("a job", event="job_info"))  # of a later Snakemake, without the fields
    handler.emit(record("a warning", logging.WARNING))
    told = capsys.readouterr().err
    assert "KeyError: 'wildcards'" in told and told.endswith("a warning\n")


def test_an_end_that_cannot_be_told_ends_the_call(capsys, monkeypatch):
    handler = LogHandler(Settings(), None)

    def fail():
        raise ValueError("no end")

    monkeypatch.setattr(handler._console, "close", fail)
    handler.close()
    assert "ValueError: no end" in capsys.readouterr().err
