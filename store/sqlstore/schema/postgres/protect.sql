-- Refuses to change and to delete events. A transaction may delete them once it
-- has set {switch} to its own number: what is set for a session,
-- a role or a database is never that number.
CREATE OR REPLACE FUNCTION {function}() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	IF TG_OP = 'UPDATE' THEN
		RAISE insufficient_privilege USING MESSAGE = '{changed}';
	ELSIF TG_OP = 'DELETE' AND current_setting('{switch}', true) = txid_current()::text THEN
		RETURN NULL; -- goes on
	END IF;
	RAISE insufficient_privilege USING MESSAGE = '{deleted}';
END $$;

-- A trigger that is there is left alone, since replacing it waits for all who
-- use the table; one that was disabled is made anew. Partitions, if there are
-- any, have one each, for those who name them.
DO $$
DECLARE
	events regclass;
BEGIN
	FOR events IN SELECT '{events}'::regclass UNION ALL SELECT inhrelid FROM pg_inherits WHERE inhparent = '{events}'::regclass LOOP
		IF NOT EXISTS (SELECT FROM pg_trigger WHERE tgrelid = events AND tgname = '{trigger_name}' AND tgenabled <> 'D') THEN
			EXECUTE format('DROP TRIGGER IF EXISTS {trigger} ON %s', events);
			EXECUTE format('CREATE TRIGGER {trigger} BEFORE UPDATE OR DELETE OR TRUNCATE ON %s FOR EACH STATEMENT EXECUTE FUNCTION {function}()', events);
		END IF;
	END LOOP;
END $$;
