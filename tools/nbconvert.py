"""Of a progress bar keep the last state: jupyter nbconvert --execute --config tools/nbconvert.py ..."""

c.Exporter.preprocessors = ["nbconvert.preprocessors.CoalesceStreamsPreprocessor"]  # noqa: F821  nbconvert brings c
c.ExecutePreprocessor.record_timing = False  # noqa: F821
