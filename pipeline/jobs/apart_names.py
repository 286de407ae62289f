"""The functions that read foreign bytes, by name: this process calls them in another one and need not import their parsers."""

SURVEY = "pipeline.collect.document:survey"
WEIGH = "pipeline.collect.document:weigh"
READ_DOCUMENT = "pipeline.collect.document:read_document"
COPY_OF = "pipeline.collect.picture:copy_of"
READ_ARTICLE = "pipeline.collect.read_article:read_article"
