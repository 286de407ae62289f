"""Mail out: one message to one relay, and what its answer means.

    OutgoingMessage ──Session.send──▶ RelayAnswer ──retry.decide──▶ RetryDecision
                     (smtp, outbox)                 (pure)
    limits.RateLimit says when the next message may go; limits.Breaker sees a relay that refuses everybody.

Nothing here knows the database: a job claims, sends through a ``Session``, decides, and records.
"""
