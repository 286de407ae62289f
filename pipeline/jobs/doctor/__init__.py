"""``gazet doctor``: is everything there that a site needs, on this machine, in the store, at the relay, on the web and in DNS?

    settings ─┬─▶ here      files, rights, disk, templates
              ├─▶ inside    database, sources, last run, backup
              ├─▶ outside   relay, site.url, clock
              └─▶ records   SPF, DKIM, DMARC, MX

Each check gives lines; they run side by side, and none waits for another that hangs. Nothing is changed, but that an answer
of site.url is remembered (promise 12).
"""

from pipeline.jobs.doctor.check import Check, Level
from pipeline.jobs.doctor.examine import Wishes, examine

__all__ = ["Check", "Level", "Wishes", "examine"]
