"""The jobs: each reads from the store, calls one stage, and writes the result in one transaction.

    due(now) ─▶ collect_source   source │ fetch │ read │ normalise │ decide │ apply
             ─▶ publish_feed     items │ render │ write files
             ─▶ open_edition     schedules │ group │ select │ render │ write edition, variants, deliveries, cursors
             ─▶ deliver_batch    claim │ splice │ send │ decide │ settle
             ─▶ sweep            what a dead process left │ what is past its deadline

A job never starts a job, knows no engine, and takes ``now``; what is due is read from rows by ``due``. Running one from the
scheduler, the command line or a worker is the same call.
"""
