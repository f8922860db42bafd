DO $$
DECLARE
	events regclass;
BEGIN
	FOR events IN SELECT '{events}'::regclass UNION ALL SELECT inhrelid FROM pg_inherits WHERE inhparent = '{events}'::regclass LOOP
		EXECUTE format('DROP TRIGGER IF EXISTS {trigger} ON %s', events);
	END LOOP;
END $$;

DROP FUNCTION IF EXISTS {function}();
