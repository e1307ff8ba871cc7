package attack_test

// plansOfDeputies have functions of a superuser that look into what mallory made, on objects of the superuser's: whoever loads these runs
// her code.
var plansOfDeputies = map[string]plan{
	"superusers check reads her view": {before: `CREATE FUNCTION public.chk(int) RETURNS boolean LANGUAGE plpgsql AS 'BEGIN PERFORM * FROM hers.v; RETURN true; END'`,
		hers:  `CREATE VIEW hers.v AS SELECT hers.spring('deputycheck') AS a`,
		after: `CREATE TABLE public.t (a int CHECK (public.chk(a))); INSERT INTO public.t VALUES (1)`},
	"superusers index reads her view": {before: `CREATE FUNCTION public.ix(int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS 'BEGIN PERFORM * FROM hers.v; RETURN 1; END'`,
		hers:  `CREATE VIEW hers.v AS SELECT hers.spring('deputyindex') AS a`,
		after: `CREATE TABLE public.t (a int); INSERT INTO public.t VALUES (1); CREATE INDEX ON public.t (public.ix(a))`},
	"superusers view calls what reads her view": {before: `CREATE FUNCTION public.mv(int) RETURNS int LANGUAGE plpgsql AS 'BEGIN PERFORM * FROM hers.v; RETURN 1; END'`,
		hers:  `CREATE VIEW hers.v AS SELECT hers.spring('deputyview') AS a`,
		after: `CREATE TABLE public.t (a int); INSERT INTO public.t VALUES (1); CREATE MATERIALIZED VIEW public.m AS SELECT public.mv(a) AS a FROM public.t`},
}
