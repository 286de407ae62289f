"""Collect: what news does this document hold, and what of it is new?

    bytes ──read──▶ ParsedSource ──normalise──▶ CandidateItems ──filters──▶ ──decide──▶ CollectPlan
             │            │                                                    │
             │            └─ offers: what else the page names                  └─ likeness, restless · watch: is it believable?
             └─ read_feed (RSS, RDF, Atom) · read_json_feed · read_wordpress · read_sitemap
                read_data (schema.org) · read_page (listing) · read_article · dates · markup

    polling: when is it asked again, why, and with which validators

All of it is pure: bytes and ``now`` in, values out; only ``apart`` starts processes, in which ``document`` and
``read_article`` read what may be hostile. Fetching is ``pipeline.http``, writing is ``pipeline.store``.
"""
