-- Makes the events' table the default partition of a new one that has its name, its
-- indexes, its triggers and its privileges. No event is moved or looked at. What
-- refers to the table itself would go on referring to the partition, so it is refused.
DO $audit$
DECLARE
	plain regclass := {events_literal};
	was pg_class := c FROM pg_class c WHERE oid = plain;
	indexes text[] := ARRAY(SELECT pg_get_indexdef(indexrelid) FROM pg_index WHERE indrelid = plain AND NOT indisunique AND indisvalid ORDER BY indexrelid);
	triggers text[] := ARRAY(SELECT pg_get_triggerdef(oid) FROM pg_trigger WHERE tgrelid = plain AND NOT tgisinternal ORDER BY oid);
	switches text[] := ARRAY(SELECT format('%s TRIGGER %I', CASE tgenabled WHEN 'D' THEN 'DISABLE' WHEN 'A' THEN 'ENABLE ALWAYS' WHEN 'R' THEN 'ENABLE REPLICA' ELSE 'ENABLE' END, tgname)
		FROM pg_trigger WHERE tgrelid = plain AND NOT tgisinternal ORDER BY oid);
	in_the_way text;
	x record;
BEGIN
	SELECT string_agg(what, ', ') INTO in_the_way FROM (
		SELECT format('view %s', r.ev_class::regclass) FROM pg_depend d JOIN pg_rewrite r ON r.oid = d.objid
			WHERE d.classid = 'pg_rewrite'::regclass AND d.refclassid = 'pg_class'::regclass AND d.refobjid = plain AND r.ev_class <> plain
		UNION SELECT format('foreign key %I of %s', conname, conrelid::regclass) FROM pg_constraint WHERE contype = 'f' AND plain IN (conrelid, confrelid)
		UNION SELECT format('publication %I', p.pubname) FROM pg_publication_rel r JOIN pg_publication p ON p.oid = r.prpubid WHERE r.prrelid = plain
		UNION SELECT format('unique index %s', indexrelid::regclass) FROM pg_index WHERE indrelid = plain AND indisunique AND NOT indisprimary
		UNION SELECT format('privileges on column %I', attname) FROM pg_attribute WHERE attrelid = plain AND attacl IS NOT NULL
		UNION SELECT 'row security' WHERE was.relrowsecurity
		UNION SELECT 'inheritance' FROM pg_inherits WHERE plain IN (inhparent, inhrelid)
	) AS found (what);
	IF in_the_way IS NOT NULL THEN
		RAISE 'audit: remove these from the events'' table, and make them anew afterwards: %', in_the_way USING ERRCODE = 'dependent_objects_still_exist';
	END IF;
	FOR x IN SELECT tgname FROM pg_trigger WHERE tgrelid = plain AND NOT tgisinternal LOOP
		EXECUTE format('DROP TRIGGER %I ON {events}', x.tgname);
	END LOOP;
	FOR x IN SELECT i.indexrelid::regclass AS index, c.relname AS name FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid WHERE i.indrelid = plain LOOP
		EXECUTE format('ALTER INDEX %s RENAME TO %I', x.index,
			CASE WHEN starts_with(x.name, {events_name}) THEN {default_name} || substr(x.name, length({events_name}) + 1) ELSE x.name || '_default' END);
	END LOOP;
	ALTER TABLE {events} RENAME TO {default_bare};
	CREATE TABLE {events} (LIKE {default} INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING STORAGE INCLUDING COMMENTS) PARTITION BY RANGE (time);
	FOR x IN SELECT DISTINCT CASE grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(grantee)) END AS grantee
		FROM pg_class, aclexplode(relacl) WHERE oid = {events_literal}::regclass AND grantee <> relowner
	LOOP
		EXECUTE format('REVOKE ALL ON TABLE {events} FROM %s', x.grantee);
	END LOOP;
	FOR x IN SELECT privilege_type, CASE grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(grantee)) END AS grantee, is_grantable
		FROM aclexplode(was.relacl) WHERE grantee <> was.relowner
	LOOP
		EXECUTE format('GRANT %s ON TABLE {events} TO %s %s', x.privilege_type, x.grantee, CASE WHEN x.is_grantable THEN 'WITH GRANT OPTION' END);
	END LOOP;
	EXECUTE format('ALTER TABLE {events} OWNER TO %I', pg_get_userbyid(was.relowner));
	FOR i IN 1 .. cardinality(indexes) LOOP
		EXECUTE indexes[i];
	END LOOP;
	ALTER TABLE {events} ATTACH PARTITION {default} DEFAULT;
	FOR i IN 1 .. cardinality(triggers) LOOP
		EXECUTE triggers[i];
		EXECUTE 'ALTER TABLE {events} ' || switches[i];
	END LOOP;
END $audit$;
