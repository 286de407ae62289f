"""The functions that read foreign bytes, by name: this process calls them in another one and need not import their parsers."""

SURVEY = "pipeline.collect.document:survey"
WEIGH = "pipeline.collect.document:weigh"
READ_DOCUMENT = "pipeline.collect.document:read_document"
COPY_OF = "pipeline.collect.picture:copy_of"
COPY_MEGABYTES = 200
"""What a copy needs at most beside the image's bytes (``collect.picture``)."""
READ_ARTICLE = "pipeline.collect.read_article:read_article"
