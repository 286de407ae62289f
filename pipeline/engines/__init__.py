"""Engines decide when and where jobs run; what they run is the same call as by hand."""
