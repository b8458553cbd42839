"""Of a progress bar keep the last state, and show figures with their alternative texts, as the classic template does.

jupyter nbconvert --execute --config tools/nbconvert.py ...
"""

c.Exporter.preprocessors = ["nbconvert.preprocessors.CoalesceStreamsPreprocessor"]  # noqa: F821  nbconvert brings c
c.ExecutePreprocessor.record_timing = False  # noqa: F821
c.HTMLExporter.template_name = "classic"  # noqa: F821
