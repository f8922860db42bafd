-- The list of authors: the newest event of each is found by one look-up, however
-- many events there are.
CREATE INDEX IF NOT EXISTS {events_authors} ON {events} (workspace, actor_kind, actor_id, time);

INSERT INTO {schema} (version) VALUES (2) ON CONFLICT DO NOTHING;
