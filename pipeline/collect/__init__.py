"""Collect: what news does this document hold, and what of it is new?

    bytes ──read──▶ ParsedSource ──normalise──▶ CandidateItems ──decide──▶ CollectPlan
             │
             └─ read_feed (RSS, RDF, Atom) · read_page (HTML listing) · dates · markup

All of it is pure: bytes and ``now`` in, values out. Fetching is ``pipeline.http``, writing is ``pipeline.store``.
"""
