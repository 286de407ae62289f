"""What the public reaches over HTTP: feeds, unsubscribing, digests read on the web, and how the site is.

    socket ─▶ server (limits on connections and headers) ─▶ edge (prefix, body, time, headers of every answer)
           ─▶ application (which address) ─▶ public files │ unsubscribe, read │ healthz │ metrics

Only ``edge`` and ``server`` are asynchronous; all else is called in a thread and may wait for the store. A GET or HEAD
never changes anything, nothing is built from a request's Host header, and no token reaches a log.
"""
