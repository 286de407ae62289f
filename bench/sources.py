"""Feeds of 50 items on addresses 127.0.x.y, in a process of its own: a port on its first line, then it serves until killed."""

from __future__ import annotations

import asyncio
import sys
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

ITEMS = 50
WORDS = ("samen opleiden en professionaliseren van leraren op school in de regio met begeleiding en onderzoek " * 2).split()


def feed(number: int) -> bytes:
    """An RSS 2.0 feed as a news site has it: about 40 KB, with a teaser and the article's text in each item."""
    newest = datetime(2026, 11, 20, 8, 0, tzinfo=UTC)
    items = []
    for index in range(ITEMS):
        at = newest - timedelta(hours=7 * index + number % 5)
        text = " ".join(WORDS[(number + index + step) % len(WORDS)] for step in range(60))
        link = f"https://www.example.org/{number}/bericht-{index}/"
        items.append(
            f"<item><title>Bericht {index} van bron {number}</title><link>{link}</link>"
            f'<guid isPermaLink="false">{link}?p={index}</guid><pubDate>{format_datetime(at)}</pubDate>'
            f"<dc:creator>Redactie</dc:creator><category>Nieuws</category><description>&lt;p&gt;{text[:200]}&lt;/p&gt;</description>"
            f'<content:encoded><![CDATA[<p>{text}</p><p><a href="{link}">Lees <em>meer</em></a></p>]]></content:encoded></item>'
        )
    head = (
        '<?xml version="1.0" encoding="UTF-8"?><rss version="2.0" xmlns:content="http://purl.org/rss/1.0/modules/content/"'
        ' xmlns:dc="http://purl.org/dc/elements/1.1/"><channel>'
        f"<title>Bron {number}</title><link>https://www.example.org/{number}/</link><description>Nieuws</description>"
    )
    return (head + "".join(items) + "</channel></rss>").encode()


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, feeds: dict[bytes, bytes]) -> None:
    try:
        while request := await reader.readuntil(b"\r\n\r\n"):
            line, _, headers = request.partition(b"\r\n")
            path = line.split()[1]
            body = feeds[path]
            etag = b'"%d"' % len(body)
            same = b"if-none-match: " + etag in headers.lower()
            close = b"connection: close" in headers.lower()
            head = b"HTTP/1.1 304 Not Modified\r\n" if same else b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n" % len(body)
            head += b"Content-Type: application/rss+xml\r\nETag: " + etag + (b"\r\nConnection: close" if close else b"")
            writer.write(head + b"\r\n\r\n" + (b"" if same else body))
            await writer.drain()
            if close:
                break
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
    finally:
        writer.close()


async def main(count: int) -> None:
    """Serve until killed."""
    feeds = {b"/%d.xml" % number: feed(number) for number in range(count)}
    server = await asyncio.start_server(lambda reader, writer: _answer(reader, writer, feeds), "0.0.0.0", 0, backlog=1000)
    print(server.sockets[0].getsockname()[1], flush=True)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
