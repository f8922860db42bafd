-- What the triggers of the tables call. Nobody else may: it all runs as the role
-- that installed it, with its search path, and writes events.
--
-- Within these functions a value is its JSON, followed by chr(1) and the name of
-- its form if it is not plain. JSON has no chr(1).

-- A text as a JSON string. What could make it look like another one is escaped.
CREATE FUNCTION {quote}(s text) RETURNS text LANGUAGE plpgsql IMMUTABLE STRICT AS $audit$
BEGIN
	IF s ~ '[\x01-\x1f"\\\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]' THEN
		s := replace(replace(replace(replace(replace(s, '\', '\\'), '"', '\"'), chr(10), '\n'), chr(13), '\r'), chr(9), '\t');
		s := {escape}(s);
	END IF;
	RETURN '"' || s || '"';
END $audit$;

-- Escapes hidden characters by their numbers.
CREATE FUNCTION {escape}(s text) RETURNS text LANGUAGE plpgsql IMMUTABLE STRICT AS $audit$
DECLARE
	hidden text;
BEGIN
	FOR hidden IN SELECT DISTINCT m[1] FROM regexp_matches(s, '([\x01-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff])', 'g') AS m LOOP
		s := replace(s, hidden, '\u' || lpad(to_hex(ascii(hidden)), 4, '0'));
	END LOOP;
	RETURN s;
END $audit$;

-- Valid JSON without white space.
CREATE FUNCTION {compact}(v text) RETURNS text LANGUAGE plpgsql IMMUTABLE STRICT AS $audit$
BEGIN
	IF v ~ '[ \t\n\r]' THEN
		v := regexp_replace(v, '("(?:[^"\\]|\\.)*")|[ \t\n\r]+', '\1', 'g');
	END IF;
	RETURN {escape}(v);
END $audit$;

CREATE FUNCTION {is_json}(v text) RETURNS boolean LANGUAGE plpgsql IMMUTABLE STRICT AS $audit$
BEGIN
	PERFORM v::json;
	RETURN true;
EXCEPTION WHEN OTHERS THEN
	RETURN false;
END $audit$;

-- Whether two texts are one value: 1.50 and 1.5, or an object with its keys in
-- another order.
CREATE FUNCTION {same}(kind text, a text, b text) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS $audit$
BEGIN
	IF a IS NOT DISTINCT FROM b THEN
		RETURN true;
	ELSIF octet_length(a) > {most} OR octet_length(b) > {most} THEN
		RETURN false;
	ELSIF kind = 'json' THEN
		RETURN COALESCE(a, 'null')::jsonb = COALESCE(b, 'null')::jsonb;
	ELSIF kind = 'number' THEN
		RETURN COALESCE(a::numeric = b::numeric, false);
	END IF;
	RETURN {text}(a, kind, false, false) = {text}(b, kind, false, false);
EXCEPTION WHEN OTHERS THEN
	RETURN false; -- what PostgreSQL cannot compare
END $audit$;

-- What stands for a long value.
CREATE FUNCTION {shortened}(length bigint, prefix text, digest bytea) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $audit$
BEGIN
	RETURN '{"length":' || length || COALESCE(',' || NULLIF(prefix, ''), '') || COALESCE(',"sha256":"' || encode(digest, 'hex') || '"', '') || '}' || chr(1) || 'shortened';
END $audit$;

-- The first bytes of a text, without a part of a character at their end.
CREATE FUNCTION {first_bytes}(s text, most integer) RETURNS text LANGUAGE plpgsql IMMUTABLE STRICT AS $audit$
DECLARE
	b bytea := convert_to(left(s, most), 'UTF8');
BEGIN
	IF octet_length(b) <= most THEN
		RETURN left(s, most);
	END IF;
	WHILE get_byte(b, most) & 192 = 128 LOOP
		most := most - 1;
	END LOOP;
	RETURN convert_from(substring(b FROM 1 FOR most), 'UTF8');
END $audit$;

CREATE FUNCTION {bytes}(v bytea, digest boolean) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $audit$
BEGIN
	RETURN CASE
		WHEN v IS NULL THEN 'null'
		WHEN octet_length(v) > {most} THEN {shortened}(octet_length(v), '"prefix_base64":"' || translate(encode(substring(v FROM 1 FOR 256), 'base64'), E'\n', '') || '"', CASE WHEN digest THEN sha256(v) END)
		ELSE '"' || translate(encode(v, 'base64'), E'\n', '') || '"' || chr(1) || 'base64' END;
END $audit$;

-- Any other value by its text. Of a wide column the statement may not have set
-- the value; a digest is made only if it has.
CREATE FUNCTION {text}(v text, kind text, wide boolean, digest boolean) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $audit$
BEGIN
	IF v IS NULL THEN
		RETURN 'null';
	ELSIF octet_length(v) > {most} THEN
		RETURN {shortened}(octet_length(v), '"prefix":' || {quote}(CASE WHEN wide THEN left(v, 256) ELSE {first_bytes}(v, 256) END),
			CASE WHEN digest OR NOT wide THEN sha256(convert_to(v, 'UTF8')) END);
	ELSIF kind = 'bytes' THEN
		RETURN {bytes}(convert_to(v, 'UTF8'), false);
	ELSIF kind = 'number' AND v ~ '^-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?$' THEN
		RETURN v;
	ELSIF kind = 'bool' AND v IN ('1', 't', 'true') THEN
		RETURN 'true';
	ELSIF kind = 'bool' AND v IN ('0', 'f', 'false') THEN
		RETURN 'false';
	ELSIF kind = 'json' AND {is_json}(v) THEN
		RETURN {compact}(v);
	END IF;
	RETURN {quote}(v);
END $audit$;

-- A column of type json or jsonb, which is known to be valid.
CREATE FUNCTION {json}(v text, wide boolean, digest boolean) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $audit$
BEGIN
	RETURN CASE WHEN octet_length(v) <= {most} THEN {compact}(v) ELSE {text}(v, 'json', wide, digest) END;
END $audit$;

-- A binary fraction and its text.
CREATE FUNCTION {float}(v double precision, t text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $audit$
BEGIN
	RETURN CASE
		WHEN v IS NULL THEN 'null'
		WHEN v = 'NaN' THEN '"NaN"'
		WHEN v = 'Infinity' THEN '"+Inf"'
		WHEN v = '-Infinity' THEN '"-Inf"'
		WHEN v <> 0 AND (abs(v) < 1e-6 OR abs(v) >= 1e21) OR t NOT LIKE '%e%' THEN t
		ELSE t::numeric::text END;
END $audit$;

-- A time in UTC; the pattern is what follows the year.
CREATE FUNCTION {time}(v timestamp, pattern text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $audit$
BEGIN
	RETURN CASE
		WHEN v IS NULL THEN 'null'
		WHEN NOT isfinite(v) THEN '"' || v::text || '"'
		ELSE '"' || CASE
			WHEN extract(year FROM v) > 0 THEN to_char(v, 'YYYY')
			WHEN extract(year FROM v) = -1 THEN '0000'
			ELSE '-' || lpad((-1 - extract(year FROM v)::integer)::text, 4, '0') END
			|| to_char(v, pattern)
			|| CASE WHEN pattern LIKE '%SS' THEN rtrim(rtrim(to_char(v, '.US'), '0'), '.') || 'Z' ELSE '' END || '"' END;
END $audit$;

-- Whether a name tells of a secret, as audit.Sensitive has it.
CREATE FUNCTION {sensitive}(name text) RETURNS boolean LANGUAGE plpgsql IMMUTABLE STRICT AS $audit$
BEGIN
	IF name !~* 'pass|pwd|pin|otp|cv[vc]|secret|credential|cookie|jwt|token|key|code' THEN
		RETURN false;
	END IF;
	-- A capital starts a word after what is none, and as the last one of a row.
	name := regexp_replace(name, '([[:upper:]])(?=[[:upper:]][[:lower:]])', '\1 ', 'g');
	name := regexp_replace(name, '((?![[:upper:]])[[:alnum:]])(?=[[:upper:]])', '\1 ', 'g');
	name := regexp_replace(lower(name), '[^[:alnum:]]+', ' ', 'g');
	name := ' ' || regexp_replace(regexp_replace(name, '[[:digit:]]+(?= |$)', '', 'g'), ' +', ' ', 'g') || ' ';
	RETURN name ~ ' (passwords?|passwd|pwd|passphrases?|passcodes?|passwordhash|pin|pincode|t?otp|cvv|cvc|secrets?|credentials?|cookies?|jwt|tokens?|accesstoken|authtoken|refreshtoken|apikeys?|privatekey|secretkey|accesskey|clientsecret) '
		OR name ~ ' (api|private|access|auth|encryption|signing|session|master|ssh|license) keys? ' OR name ~ ' (recovery|backup|auth) codes? ';
END $audit$;

-- The text of a JSON string; what PostgreSQL cannot read stays as it is written.
CREATE FUNCTION {unquote}(v text) RETURNS text LANGUAGE plpgsql IMMUTABLE STRICT AS $audit$
BEGIN
	RETURN v::json #>> '{}';
EXCEPTION WHEN OTHERS THEN
	RETURN btrim(v, '"');
END $audit$;

-- JSON with its secrets replaced: what stands under the names withheld and, if
-- they are judged, under sensitive ones; null if it has none. It may be damaged.
CREATE FUNCTION {mask}(t text, judged boolean, withheld text[], told text[]) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $audit$
DECLARE
	tokens text[];
	name text;
	i integer := 1;
	k integer;
	depth integer;
	secret boolean;
	masked boolean := false;
BEGIN
	IF cardinality(withheld) = 0 AND NOT (judged AND t ~* 'pass|pwd|pin|otp|cv[vc]|secret|credential|cookie|jwt|token|key|code|\\u') THEN
		RETURN NULL;
	END IF;
	tokens := ARRAY(SELECT m[1] FROM regexp_matches(t, '("(?:[^"\\]|\\.)*"?|[{}\[\],:]|[ \t\n\r]+|[^"{}\[\],: \t\n\r]+)', 'g') WITH ORDINALITY AS r(m, n) ORDER BY n);
	WHILE i <= cardinality(tokens) LOOP
		IF left(tokens[i], 1) <> '"' THEN
			i := i + 1;
			CONTINUE;
		END IF;
		k := i + 1;
		IF tokens[k] ~ '^[ \t\n\r]' THEN
			k := k + 1;
		END IF;
		IF tokens[k] IS DISTINCT FROM ':' THEN
			name := CASE WHEN strpos(tokens[i], '\') > 0 THEN {unquote}(tokens[i]) END;
			IF name ~ '^\ufeff?[ \t\n\r]*[{\[]' AND {mask}(name, judged, withheld, told) IS NOT NULL THEN
				tokens[i] := '"[withheld]"';
				masked := true;
			END IF;
			i := i + 1;
			CONTINUE;
		END IF;
		name := CASE WHEN strpos(tokens[i], '\') > 0 THEN {unquote}(tokens[i]) ELSE btrim(tokens[i], '"') END;
		secret := CASE WHEN name = ANY (withheld) THEN true WHEN name = ANY (told) THEN false ELSE judged AND {sensitive}(name) END;
		i := k + 1;
		CONTINUE WHEN NOT secret;
		masked := true;
		IF tokens[i] ~ '^[ \t\n\r]' THEN
			i := i + 1;
		END IF;
		depth := 0;
		k := i;
		WHILE i <= cardinality(tokens) LOOP
			IF tokens[i] IN ('{', '[') THEN
				depth := depth + 1;
			ELSIF tokens[i] IN ('}', ']') THEN
				depth := depth - 1;
			END IF;
			EXIT WHEN depth < 0 OR depth = 0 AND (tokens[i] = ',' OR tokens[i] ~ '^[ \t\n\r]');
			i := i + 1;
			EXIT WHEN depth = 0 AND (tokens[i - 1] IN ('}', ']') OR left(tokens[i - 1], 1) = '"');
			tokens[i - 1] := '';
		END LOOP;
		IF i > k THEN
			tokens[i - 1] := '"[withheld]"';
		ELSE
			tokens[k - 1] := tokens[k - 1] || '"[withheld]"';
		END IF;
	END LOOP;
	RETURN CASE WHEN masked THEN array_to_string(tokens, '') END;
END $audit$;

-- Whether a text must be withheld: it is JSON with a secret, or no JSON though
-- it stands for something that has one.
CREATE FUNCTION {hides}(t text, opaque boolean, judged boolean, withheld text[], told text[]) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS $audit$
BEGIN
	RETURN CASE WHEN t ~ '^\ufeff?[ \t\n\r]*[{\[]' THEN {mask}(t, judged, withheld, told) IS NOT NULL ELSE opaque AND t <> '' END;
END $audit$;

-- Bytes as a text; what is no text is made one that shows the same names.
CREATE FUNCTION {as_text}(b bytea) RETURNS text LANGUAGE plpgsql IMMUTABLE STRICT AS $audit$
BEGIN
	RETURN convert_from(b, 'UTF8');
EXCEPTION WHEN OTHERS THEN
	RETURN replace(encode(b, 'escape'), '\\', '\');
END $audit$;

-- A value without the secrets within it.
CREATE FUNCTION {veil}(v text, opaque boolean, judged boolean, withheld text[], told text[]) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $audit$
DECLARE
	form text;
	shown text;
	hidden boolean := false;
BEGIN
	IF left(v, 1) = '"' AND right(v, 1) = '"' AND NOT opaque AND substr(v, 2, 1) NOT IN ('{', '[', '\', ' ') THEN
		RETURN v;
	END IF;
	form := split_part(v, chr(1), 2);
	shown := split_part(v, chr(1), 1);
	IF form = 'shortened' THEN
		hidden := {hides}({as_text}(decode(COALESCE(shown::json ->> 'prefix_base64', ''), 'base64')) || COALESCE(shown::json ->> 'prefix', ''), opaque, judged, withheld, told);
	ELSIF form = 'base64' THEN
		hidden := {hides}({as_text}(decode(btrim(shown, '"'), 'base64')), opaque, judged, withheld, told);
	ELSIF left(shown, 1) = '"' THEN
		hidden := {hides}({unquote}(shown), opaque, judged, withheld, told);
	ELSIF left(shown, 1) IN ('{', '[') THEN
		RETURN COALESCE({mask}(shown, judged, withheld, told) || chr(1) || 'partial', v);
	END IF;
	RETURN CASE WHEN hidden THEN chr(1) || 'redacted' ELSE v END;
END $audit$;

-- A text that names something, unless it is one that must be withheld.
CREATE FUNCTION {named}(t text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $audit$
BEGIN
	RETURN CASE WHEN {hides}(t, false, true, '{}', '{}') THEN '' ELSE t END;
END $audit$;

-- An object of values.
CREATE FUNCTION {object}(names text[], v text[]) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $audit$
DECLARE
	members text := '';
	partial boolean := false;
BEGIN
	FOR i IN 1 .. cardinality(v) LOOP
		partial := partial OR split_part(v[i], chr(1), 2) IN ('partial', 'redacted');
		members := members || ',' || names[i] || ':' || COALESCE(NULLIF(split_part(v[i], chr(1), 1), ''), '"[withheld]"');
	END LOOP;
	RETURN '{' || substr(members, 2) || '}' || CASE WHEN partial THEN chr(1) || 'partial' ELSE '' END;
END $audit$;

-- A value as plain text.
CREATE FUNCTION {plain}(v text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $audit$
DECLARE
	form text := split_part(v, chr(1), 2);
BEGIN
	v := split_part(v, chr(1), 1);
	IF v IS NULL OR v = 'null' OR form IN ('redacted', 'partial') THEN
		RETURN '';
	ELSIF form = 'shortened' THEN
		RETURN COALESCE(v::json ->> 'prefix', '');
	ELSIF left(v, 1) <> '"' THEN
		RETURN v;
	ELSIF v NOT LIKE '%\\u%' THEN
		RETURN v::json #>> '{}';
	END IF;
	RETURN {unquote}(v); -- it may hold what no text can
END $audit$;

-- A text of at most so many bytes.
CREATE FUNCTION {cut}(s text, most integer) RETURNS text LANGUAGE plpgsql IMMUTABLE STRICT AS $audit$
BEGIN
	IF octet_length(s) <= most THEN
		RETURN s;
	END IF;
	RETURN {first_bytes}(s, most - 3) || '…';
END $audit$;

-- The same for what is compared: two texts stay two.
CREATE FUNCTION {id}(s text) RETURNS text LANGUAGE plpgsql IMMUTABLE STRICT AS $audit$
BEGIN
	IF octet_length(s) <= 191 THEN
		RETURN s;
	END IF;
	RETURN {cut}(s, 126) || '#' || encode(sha256(convert_to(s, 'UTF8')), 'hex');
END $audit$;

-- One side of a change. Null was not recorded.
CREATE FUNCTION {side}(side text, v text, label text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $audit$
BEGIN
	RETURN COALESCE(',"' || side || '":' || NULLIF(split_part(v, chr(1), 1), ''), '')
		|| COALESCE(',"' || side || 'l":' || {quote}({cut}(NULLIF(label, ''), 500)), '')
		|| COALESCE(',"' || side || 'f":"' || NULLIF(split_part(v, chr(1), 2), '') || '"', '');
END $audit$;

-- Writes an event, if it is to be recorded. Owned tells that a record of the
-- kind can have an owner.
CREATE FUNCTION {write}(op text, kind text, record text, label text, owner text, owned boolean, own text, changes text) RETURNS void LANGUAGE plpgsql AS $audit$
DECLARE
	believed boolean := {trusted}; -- what the writer says of itself
	place text := {said.workspace};
	actor text[] := ARRAY[{said.actor_kind}, {said.actor_id}, {said.actor_name}];
	initiator text[] := ARRAY[{said.initiator_kind}, {said.initiator_id}, {said.initiator_name}];
	source text := {said.origin};
	story text := NULLIF({said.change_set}, '');
	request text[] := ARRAY[{said.request_id}, CASE WHEN {addresses} THEN {said.request_address} END, CASE WHEN {agents} THEN {said.request_agent} END];
	why text := {said.reason};
	whose text := '';
	us bigint := floor(extract(epoch FROM clock_timestamp()) * 1000000);
	event uuid := (lpad(to_hex(us / 1000), 12, '0') || '7' || lpad(to_hex(((us % 1000) << 12) / 1000), 3, '0') || right(replace(gen_random_uuid()::text, '-', ''), 16))::uuid;
	known text[] := string_to_array(current_setting('audit_trigger.recorded', true), ' ');
BEGIN
	IF octet_length(concat(own, place, source, record, label, owner, why) || array_to_string(actor || initiator || request, '')) > 191 THEN
		-- One of them may be too long.
		own := {id}(own);
		place := {id}(place);
		source := {id}(source);
		record := {id}(record);
		label := {cut}(label, 500);
		owner := {id}(owner);
		why := {cut}(why, 4000);
		actor := ARRAY[{id}(actor[1]), {id}(actor[2]), {cut}(actor[3], 500)];
		initiator := ARRAY[{id}(initiator[1]), {id}(initiator[2]), {cut}(initiator[3], 500)];
		request := ARRAY[{id}(request[1]), {id}(request[2]), {cut}(request[3], 500)];
	END IF;
	IF own <> '' AND place NOT IN ('', own) AND NOT {allow_mismatch} THEN
		RAISE 'audit: record and context belong to different workspaces; set audit.workspace to the record''s, or leave it empty' USING ERRCODE = 'integrity_constraint_violation';
	END IF;
	place := COALESCE(NULLIF(own, ''), NULLIF(place, ''), {workspace});
	IF {gated} AND NOT EXISTS (
		SELECT FROM {settings} s WHERE s.workspace = place AND s.switches::jsonb @> jsonb_build_object('enabled', true, 'types', jsonb_build_array(kind))
	) THEN
		RETURN;
	END IF;
	IF actor[1] IN ('', 'user') AND actor[2] = '' AND actor[3] = '' THEN
		IF {require_actor} THEN
			RAISE 'audit: no actor; name one with SELECT set_config(''audit.actor_id'', ''...'', true) in the same transaction' USING ERRCODE = 'integrity_constraint_violation';
		END IF;
		actor := ARRAY['database', session_user, session_user];
	END IF;
	actor[1] := COALESCE(NULLIF(actor[1], ''), 'user');
	IF initiator <> ARRAY['', '', ''] THEN
		initiator[1] := COALESCE(NULLIF(initiator[1], ''), 'user');
	END IF;
	IF owner <> '' THEN
		whose := CASE WHEN owner = CASE WHEN actor[1] = 'user' THEN actor[2] WHEN initiator[1] = 'user' THEN initiator[2] END THEN 'self' ELSE 'other' END;
	ELSIF owned THEN
		whose := 'other';
	END IF;
	IF kind = 'time_entry' AND op = 'created' AND whose = 'self' AND source = '' THEN
		source := 'manual';
	END IF;
	IF known[1] IS DISTINCT FROM txid_current()::text THEN
		known := ARRAY[txid_current()::text, event::text];
		PERFORM set_config('audit_trigger.recorded', array_to_string(known, ' '), true);
		IF op <> 'executed' AND current_setting('audit_trigger.told', true) = 'on' THEN
			PERFORM {twice}();
		END IF;
	END IF;
	INSERT INTO {events} ({columns}) VALUES (
		event, us, place, actor[1], actor[2], NULLIF(actor[3], ''), NULLIF(initiator[1], ''), NULLIF(initiator[2], ''), NULLIF(initiator[3], ''),
		op, source, kind, record, NULLIF(label, ''), owner, whose, changes, NULL, 0, COALESCE(story, known[2])::uuid,
		NULLIF(request[1], ''), NULLIF(request[2], ''), NULLIF(request[3], ''), NULLIF(why, ''), {schema_version});
END $audit$;

-- TRUNCATE gives no rows to look at.
CREATE FUNCTION {truncated}() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER {pinned} AS $audit$
BEGIN
	PERFORM {write}('executed', TG_ARGV[0], '*', '', '', TG_ARGV[1]::boolean, '',
		'[{"f":"statement","a":"truncate"},{"f":"table","a":' || {quote}(TG_ARGV[2]) || '}]');
	RETURN NULL;
END $audit$;

-- Refuses what would be told twice. An event may come before the triggers of the
-- row that it tells of, if one statement writes both.
CREATE FUNCTION {once}() RETURNS trigger LANGUAGE plpgsql AS $audit$
BEGIN
	IF COALESCE(pg_catalog.current_setting('audit_trigger.recorded', true), '') = '' THEN
		PERFORM pg_catalog.set_config('audit_trigger.told', 'on', true);
		RETURN NEW;
	END IF;
	PERFORM {twice}();
END $audit$;

CREATE FUNCTION {twice}() RETURNS void LANGUAGE plpgsql AS $audit$
BEGIN
	RAISE 'audit: changes of this transaction are recorded by triggers, and by the application too; add audit.recorded_by_hooks=on to the application''s connections'
		USING ERRCODE = 'object_not_in_prerequisite_state';
END $audit$;

-- Whether triggers leave a connection to the hooks.
CREATE FUNCTION {passed}() RETURNS boolean LANGUAGE sql STABLE AS $audit$
	SELECT {passes};
$audit$;

-- Says who acts, and why, until the end of the transaction. For everybody.
CREATE FUNCTION {as}(actor_id text DEFAULT '', actor_name text DEFAULT '', actor_kind text DEFAULT '', reason text DEFAULT '', workspace text DEFAULT '', origin text DEFAULT '') RETURNS void LANGUAGE sql AS $audit$
	SELECT pg_catalog.set_config('audit.actor_id', $1, true), pg_catalog.set_config('audit.actor_name', $2, true), pg_catalog.set_config('audit.actor_kind', $3, true),
		pg_catalog.set_config('audit.reason', $4, true), pg_catalog.set_config('audit.workspace', $5, true), pg_catalog.set_config('audit.origin', $6, true);
$audit$
