-- What the owner of a database, who is no superuser, puts before the catalog's objects: in the schema public a relation, a
-- function, an aggregate, an operator and a type of the name of every one that there is. Whatever finds one of them runs
-- public.trap, which tells who ran it where that has the rights to. TRAP is the command to tell it to.

SET search_path = pg_catalog;
SET check_function_bodies = off;
SET client_min_messages = error;

CREATE FUNCTION public.trap(what text) RETURNS bool LANGUAGE plpgsql SET search_path = pg_catalog AS $$
BEGIN
	EXECUTE format('COPY (SELECT %L) TO PROGRAM %L', what || ' ran as ' || current_user, 'TRAP');
	RETURN true;
EXCEPTION WHEN insufficient_privilege THEN
	RETURN true;
END $$;

CREATE PROCEDURE public.shadow(what text, sql text) LANGUAGE plpgsql SET search_path = pg_catalog AS $$
BEGIN
	EXECUTE sql;
	INSERT INTO public.shadows VALUES (what);
EXCEPTION WHEN OTHERS THEN -- what only C can take, or is no object of its own
END $$;
CREATE TABLE public.shadows (what text);

-- Relations, with their columns.
DO $$ DECLARE r record; BEGIN
	FOR r IN SELECT c.relname AS name, string_agg(format('NULL::%s AS %I', CASE WHEN t.typtype = 'p' THEN 'text' ELSE format_type(a.atttypid, a.atttypmod) END, a.attname), ', ' ORDER BY a.attnum) AS columns
		FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 JOIN pg_type t ON t.oid = a.atttypid
		WHERE c.relnamespace = 'pg_catalog'::regnamespace AND c.relkind IN ('r', 'v') GROUP BY 1
	LOOP
		CALL public.shadow('relation ' || r.name, format('CREATE VIEW public.%I AS SELECT %s WHERE public.trap(%L)', r.name, r.columns, 'relation ' || r.name));
	END LOOP;
END $$;

-- Functions, of the same arguments. No language but C takes "any", so those get the types that they are called with.
CREATE FUNCTION public.shadow_function(name text, args text, result text) RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog AS $$
BEGIN
	CALL public.shadow('function ' || name, format('CREATE FUNCTION public.%I(%s) RETURNS %s LANGUAGE plpgsql AS %L', name, args, result,
		format('BEGIN PERFORM public.trap(%L); RETURN%s; END', 'function ' || name, CASE WHEN result LIKE 'SETOF %' OR result LIKE 'TABLE%' THEN '' ELSE ' NULL' END)));
END $$;
DO $$ DECLARE r record; BEGIN
	FOR r IN SELECT p.oid, p.proname AS name, pg_get_function_arguments(p.oid) AS args, pg_get_function_result(p.oid) AS result
		FROM pg_proc p WHERE p.pronamespace = 'pg_catalog'::regnamespace AND p.prokind = 'f' AND NOT 'internal'::regtype = ANY (p.proargtypes)
	LOOP
		PERFORM public.shadow_function(r.name, r.args, r.result);
	END LOOP;
	PERFORM public.shadow_function('format', 'text, name, name', 'text');
	PERFORM public.shadow_function('json_build_object', 'text, text, text, text', 'json');
END $$;

-- Aggregates. That of count(*) has no arguments.
CREATE FUNCTION public.shadow_aggregate(name text, args text) RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog AS $$
DECLARE step text := format('step_%s', (SELECT count(*) FROM public.shadows));
BEGIN
	CALL public.shadow('step', format('CREATE FUNCTION public.%I(text%s) RETURNS text LANGUAGE plpgsql AS %L', step, CASE WHEN args = '*' THEN '' ELSE ', ' || args END,
		format('BEGIN PERFORM public.trap(%L); RETURN NULL; END', 'aggregate ' || name)));
	CALL public.shadow('aggregate ' || name, format('CREATE AGGREGATE public.%I(%s) (SFUNC = public.%I, STYPE = text)', name, args, step));
END $$;
DO $$ DECLARE r record; BEGIN
	FOR r IN SELECT p.proname AS name, pg_get_function_arguments(p.oid) AS args FROM pg_proc p
		WHERE p.pronamespace = 'pg_catalog'::regnamespace AND p.prokind = 'a'
	LOOP
		PERFORM public.shadow_aggregate(r.name, coalesce(nullif(r.args, ''), '*'));
	END LOOP;
	PERFORM public.shadow_aggregate('json_agg', 'json');
END $$;

-- Operators.
DO $$ DECLARE r record; step text; BEGIN
	FOR r IN SELECT o.oid, o.oprname AS name, nullif(o.oprleft, 0)::regtype AS l, o.oprright::regtype AS r, o.oprresult::regtype AS result
		FROM pg_operator o WHERE o.oprnamespace = 'pg_catalog'::regnamespace
	LOOP
		step := 'operator_' || r.oid;
		CALL public.shadow('step', format('CREATE FUNCTION public.%I(%s) RETURNS %s LANGUAGE plpgsql AS %L', step, concat_ws(', ', r.l, r.r), r.result,
			format('BEGIN PERFORM public.trap(%L); RETURN NULL; END', format('operator %s(%s, %s)', r.name, r.l, r.r))));
		CALL public.shadow(format('operator %s(%s, %s)', r.name, r.l, r.r),
			format('CREATE OPERATOR public.%s (FUNCTION = public.%I, %sRIGHTARG = %s)', r.name, step, 'LEFTARG = ' || r.l || ', ', r.r));
	END LOOP;
END $$;

-- Types: a domain looks at each value.
DO $$ DECLARE r record; BEGIN
	FOR r IN SELECT typname AS name FROM pg_type WHERE typnamespace = 'pg_catalog'::regnamespace AND typtype = 'b' AND typelem = 0
	LOOP
		CALL public.shadow('type ' || r.name, format('CREATE DOMAIN public.%I AS pg_catalog.%I CHECK (public.trap(%L))', r.name, r.name, 'type ' || r.name));
	END LOOP;
END $$;
