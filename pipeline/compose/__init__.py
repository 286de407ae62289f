"""From numbered items to the exact bytes of a mail; everything here is pure.

FeedItems ──select──▶ Selection ──digest──▶ HTML, text ──message──▶ bytes with slots ──splice──▶ one person's message
"""
