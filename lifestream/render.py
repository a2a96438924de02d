"""stub"""

import orjson


class Renderer:
    @classmethod
    def of(cls, config):
        self = cls()
        self.config = config
        return self

    def entry_json(self, stored):
        return orjson.dumps(
            {
                "id": stored.id,
                "seq": stored.seq,
                "first_seq": stored.first_seq,
                "title": stored.entry.title,
                "content_html": stored.entry.content_html,
                "kind": stored.entry.kind,
                "html": "<article>" + (stored.entry.title or "") + "</article>",
                "deleted": stored.deleted,
                "source": {"slug": stored.source.slug},
            }
        )

    def tombstone_json(self, stored):
        return orjson.dumps({"id": stored.id, "seq": stored.seq, "deleted": True})

    def page(self, template, context):
        return template + repr({k: v for k, v in context.items()})

    def day_of(self, stored):
        return stored.ordered_at.date()
