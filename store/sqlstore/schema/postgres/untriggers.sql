-- Removes all that the triggers consist of, from whatever table they are on.
DO $audit$
DECLARE
	t record;
BEGIN
	FOR t IN SELECT g.tgname, g.tgrelid::regclass AS parent FROM pg_trigger g JOIN pg_proc p ON p.oid = g.tgfoid
		WHERE NOT g.tgisinternal AND g.tgparentid = 0 AND p.pronamespace = {namespace}::regnamespace AND p.proname ~ {functions}
	LOOP
		EXECUTE format('DROP TRIGGER %I ON %s', t.tgname, t.parent);
	END LOOP;
	FOR t IN SELECT p.oid::regprocedure AS name FROM pg_proc p WHERE p.pronamespace = {namespace}::regnamespace AND p.proname ~ {functions} LOOP
		EXECUTE format('DROP FUNCTION %s', t.name);
	END LOOP;
END $audit$
