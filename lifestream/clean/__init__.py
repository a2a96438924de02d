"""From what a document says to what is safe to keep and show: identity and digest, dates, HTML, kinds."""
