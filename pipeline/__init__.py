"""Gazet: a news page in, standards-clean feeds and a personal e-mail digest out.

The folders are the stages of the pipeline, in the order in which news flows::

    collect ──▶ store ──▶ publish ──▶ files
                  └─────▶ compose ──▶ deliver ──▶ relay

``jobs`` is the only place that knows all of them; see ``docs/architecture.md``.
"""

__version__ = "0.1.0"
