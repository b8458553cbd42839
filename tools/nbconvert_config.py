"""jupyter nbconvert --execute --config tools/nbconvert_config.py ...: of a progress bar keep the last state only."""

c.Exporter.preprocessors = ["nbconvert.preprocessors.CoalesceStreamsPreprocessor"]  # noqa: F821  nbconvert brings c
c.ExecutePreprocessor.record_timing = False  # noqa: F821
# Each kernel would warn of eavesdroppers on this machine.
c.ExecutePreprocessor.extra_arguments = ["--log-level=ERROR"]  # noqa: F821
