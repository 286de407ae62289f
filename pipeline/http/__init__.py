"""The only outgoing HTTP: one URL in, one answer within its limits out.

    url ──▶ resolve once ──▶ check every address ──▶ connect to it ──▶ 200, 304 ──▶ Fetched
                 ▲                                       │
                 └──────────── at most 5 redirects ◀─────┘

Each hop is resolved, checked and pinned anew; the deadline covers all of them together.
"""

from pipeline.http.fetch import Accept, Fetched, Fetcher, Measured, Permit, from_settings
from pipeline.http.hosts import HostGate

__all__ = ["Accept", "Fetched", "Fetcher", "HostGate", "Measured", "Permit", "from_settings"]
