-- What a restore must bring back, a query for each kind of object. Their rows must be the same before and after, and the
-- database of everything.sql has some of each. The search path is empty, so that all names come with their schema; a view
-- "own" of the test lists the schemas that are the database's.

-- kind: schemas
SELECT nspname, nspowner::regrole, nspacl FROM pg_namespace WHERE nspname !~ '^pg_';
-- kind: extensions
SELECT extname, extnamespace::regnamespace, extversion, extconfig FROM pg_extension;
-- kind: tables
SELECT c.oid::regclass, relowner::regrole, a.amname, spcname, relpersistence, reltype::regtype, reloftype::regtype, relhasindex, relnatts FROM pg_class c JOIN own o ON o.oid = relnamespace LEFT JOIN pg_am a ON a.oid = relam LEFT JOIN pg_tablespace s ON s.oid = reltablespace WHERE relkind = 'r' AND c.oid::regclass::text <> 'stock.things';
-- kind: unlogged tables
SELECT c.oid::regclass FROM pg_class c JOIN own o ON o.oid = relnamespace WHERE relkind = 'r' AND relpersistence = 'u';
-- kind: tables of a type
SELECT c.oid::regclass, reloftype::regtype FROM pg_class c WHERE reloftype <> 0;
-- kind: tables and indexes in a tablespace
SELECT c.oid::regclass, spcname FROM pg_class c JOIN pg_tablespace s ON s.oid = reltablespace WHERE spcname = 'shelf';
-- kind: tables of an access method
SELECT c.oid::regclass, amname FROM pg_class c JOIN pg_am a ON a.oid = relam WHERE amname = 'pile';
-- kind: storage parameters
SELECT c.oid::regclass, reloptions FROM pg_class c JOIN own o ON o.oid = relnamespace WHERE reloptions IS NOT NULL;
-- kind: storage parameters of TOAST tables
SELECT c.oid::regclass, t.reloptions FROM pg_class c JOIN pg_class t ON t.oid = c.reltoastrelid WHERE t.reloptions IS NOT NULL;
-- kind: columns
SELECT c.oid::regclass, attname, row_number() OVER (PARTITION BY c.oid ORDER BY attnum), format_type(atttypid, atttypmod), attnotnull, attislocal, attinhcount FROM pg_attribute a JOIN pg_class c ON c.oid = attrelid JOIN own o ON o.oid = relnamespace WHERE attnum > 0 AND NOT attisdropped;
-- kind: column collations
SELECT c.oid::regclass, attname, attcollation::regcollation FROM pg_attribute a JOIN pg_class c ON c.oid = attrelid JOIN own o ON o.oid = relnamespace WHERE attcollation NOT IN (0, 100, 950);
-- kind: column storage
SELECT c.oid::regclass, attname, attstorage FROM pg_attribute a JOIN pg_class c ON c.oid = attrelid JOIN own o ON o.oid = relnamespace JOIN pg_type t ON t.oid = atttypid WHERE attstorage <> typstorage AND NOT attisdropped;
-- kind: column compression
SELECT c.oid::regclass, attname, attcompression FROM pg_attribute a JOIN pg_class c ON c.oid = attrelid WHERE attcompression <> '';
-- kind: column statistics targets
SELECT c.oid::regclass, attname, attstattarget FROM pg_attribute a JOIN pg_class c ON c.oid = attrelid JOIN own o ON o.oid = relnamespace WHERE attstattarget > 0;
-- kind: column options
-- pg_attver is the server's own mark of a column (15.20 and its kin); every copy has another.
SELECT c.oid::regclass, attname, options FROM pg_attribute a JOIN pg_class c ON c.oid = attrelid CROSS JOIN LATERAL (SELECT ARRAY(SELECT o FROM unnest(attoptions) WITH ORDINALITY AS u (o, place) WHERE o !~ '^pg_attver=' ORDER BY place) AS options) AS own_options WHERE options <> '{}';
-- kind: column defaults
SELECT adrelid::regclass, attname, pg_get_expr(adbin, adrelid) FROM pg_attrdef d JOIN pg_attribute a ON attrelid = adrelid AND attnum = adnum WHERE attgenerated = '';
-- kind: generated columns
SELECT attrelid::regclass, attname, pg_get_expr(adbin, adrelid) FROM pg_attrdef d JOIN pg_attribute a ON attrelid = adrelid AND attnum = adnum WHERE attgenerated <> '';
-- kind: identity columns
SELECT attrelid::regclass, attname, attidentity, pg_get_serial_sequence(attrelid::regclass::text, attname) FROM pg_attribute WHERE attidentity <> '';
-- kind: sequences
SELECT schemaname, sequencename, sequenceowner, data_type, start_value, min_value, max_value, increment_by, cycle, cache_size, last_value FROM pg_sequences;
-- kind: sequences that belong to columns
SELECT d.objid::regclass, d.refobjid::regclass, a.attname, d.deptype FROM pg_depend d JOIN pg_class c ON c.oid = d.objid AND relkind = 'S' JOIN pg_attribute a ON attrelid = refobjid AND attnum = refobjsubid WHERE d.classid = 'pg_class'::regclass;
-- kind: primary keys
SELECT conrelid::regclass, conname, pg_get_constraintdef(oid), conindid::regclass FROM pg_constraint WHERE contype = 'p';
-- kind: unique constraints
SELECT conrelid::regclass, conname, pg_get_constraintdef(oid), condeferrable, condeferred FROM pg_constraint WHERE contype = 'u';
-- kind: foreign keys
SELECT conrelid::regclass, conname, pg_get_constraintdef(oid), convalidated, condeferrable, condeferred FROM pg_constraint WHERE contype = 'f';
-- kind: check constraints
SELECT conrelid::regclass, conname, pg_get_constraintdef(oid), convalidated, connoinherit, coninhcount, conislocal FROM pg_constraint WHERE contype = 'c' AND conrelid <> 0;
-- kind: exclusion constraints
SELECT conrelid::regclass, conname, pg_get_constraintdef(oid), condeferrable FROM pg_constraint WHERE contype = 'x';
-- kind: constraints that are not valid
SELECT conrelid::regclass, contypid::regtype, conname FROM pg_constraint WHERE NOT convalidated;
-- kind: btree indexes
SELECT indexrelid::regclass, pg_get_indexdef(indexrelid), indisvalid, indisready FROM pg_index JOIN pg_class c ON c.oid = indexrelid JOIN pg_am a ON a.oid = relam JOIN own o ON o.oid = relnamespace WHERE amname = 'btree';
-- kind: hash indexes
SELECT pg_get_indexdef(c.oid) FROM pg_class c JOIN pg_am a ON a.oid = relam WHERE amname = 'hash';
-- kind: gin indexes
SELECT pg_get_indexdef(c.oid) FROM pg_class c JOIN pg_am a ON a.oid = relam WHERE amname = 'gin';
-- kind: gist indexes
SELECT pg_get_indexdef(c.oid) FROM pg_class c JOIN pg_am a ON a.oid = relam WHERE amname = 'gist';
-- kind: spgist indexes
SELECT pg_get_indexdef(c.oid) FROM pg_class c JOIN pg_am a ON a.oid = relam WHERE amname = 'spgist';
-- kind: brin indexes
SELECT pg_get_indexdef(c.oid) FROM pg_class c JOIN pg_am a ON a.oid = relam WHERE amname = 'brin';
-- kind: partial indexes
SELECT pg_get_indexdef(indexrelid) FROM pg_index WHERE indpred IS NOT NULL;
-- kind: expression indexes
SELECT pg_get_indexdef(indexrelid) FROM pg_index WHERE indexprs IS NOT NULL;
-- kind: partitioned indexes
SELECT inhrelid::regclass, inhparent::regclass FROM pg_inherits JOIN pg_class c ON c.oid = inhparent WHERE relkind = 'I';
-- kind: cluster marks
SELECT indexrelid::regclass FROM pg_index WHERE indisclustered;
-- kind: replica identities
SELECT c.oid::regclass, relreplident, (SELECT indexrelid::regclass FROM pg_index i WHERE i.indrelid = c.oid AND indisreplident) FROM pg_class c JOIN own o ON o.oid = relnamespace WHERE relkind = 'r' AND relreplident <> 'd';
-- kind: views
SELECT c.oid::regclass, relowner::regrole, reloptions, pg_get_viewdef(c.oid) FROM pg_class c JOIN own o ON o.oid = relnamespace WHERE relkind = 'v' AND relname <> 'own';
-- kind: materialized views
SELECT c.oid::regclass, relowner::regrole, relispopulated, pg_get_viewdef(c.oid) FROM pg_class c WHERE relkind = 'm';
-- kind: rules
SELECT ev_class::regclass, rulename, ev_enabled, pg_get_ruledef(r.oid) FROM pg_rewrite r JOIN pg_class c ON c.oid = ev_class JOIN own o ON o.oid = relnamespace WHERE rulename <> '_RETURN';
-- kind: triggers
SELECT tgrelid::regclass, tgname, tgenabled, pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal AND tgconstraint = 0;
-- kind: constraint triggers
SELECT tgrelid::regclass, tgname, tgdeferrable, tginitdeferred, pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal AND tgconstraint <> 0;
-- kind: triggers of partitions
SELECT tgrelid::regclass, tgname, tgenabled, (SELECT p.tgrelid::regclass FROM pg_trigger p WHERE p.oid = t.tgparentid) FROM pg_trigger t WHERE tgparentid <> 0;
-- kind: event triggers
SELECT evtname, evtevent, evtowner::regrole, evtfoid::regprocedure, evtenabled, evttags FROM pg_event_trigger;
-- kind: functions
SELECT p.oid::regprocedure, proowner::regrole, pg_get_functiondef(p.oid) FROM pg_proc p JOIN own o ON o.oid = pronamespace WHERE prokind = 'f';
-- kind: procedures
SELECT p.oid::regprocedure, pg_get_functiondef(p.oid) FROM pg_proc p JOIN own o ON o.oid = pronamespace WHERE prokind = 'p';
-- kind: aggregates
SELECT p.oid::regprocedure, aggkind, aggtransfn::regproc, aggfinalfn::regproc, aggcombinefn::regproc, agginitval, aggtranstype::regtype, proparallel FROM pg_aggregate a JOIN pg_proc p ON p.oid = aggfnoid JOIN own o ON o.oid = pronamespace;
-- kind: operators
SELECT p.oid::regoperator, oprcode::regprocedure, oprcom::regoperator, oprrest, oprjoin, oprcanhash, oprcanmerge FROM pg_operator p JOIN own o ON o.oid = oprnamespace;
-- kind: operator families
SELECT opfname, opfnamespace::regnamespace, amname, opfowner::regrole FROM pg_opfamily f JOIN own o ON o.oid = opfnamespace JOIN pg_am a ON a.oid = opfmethod;
-- kind: operator classes
SELECT opcname, opcnamespace::regnamespace, amname, opcintype::regtype, opcdefault, (SELECT opfname FROM pg_opfamily f WHERE f.oid = opcfamily) FROM pg_opclass c JOIN own o ON o.oid = opcnamespace JOIN pg_am a ON a.oid = opcmethod;
-- kind: members of operator families
SELECT opfname, amopstrategy, amopopr::regoperator FROM pg_amop m JOIN pg_opfamily f ON f.oid = amopfamily JOIN own o ON o.oid = opfnamespace;
-- kind: casts
SELECT castsource::regtype, casttarget::regtype, castfunc::regprocedure, castcontext, castmethod FROM pg_cast;
-- kind: collations
SELECT collname, collnamespace::regnamespace, collprovider, collcollate, collowner::regrole FROM pg_collation c JOIN own o ON o.oid = collnamespace;
-- kind: conversions
SELECT conname, connamespace::regnamespace, conforencoding, contoencoding, conproc FROM pg_conversion c JOIN own o ON o.oid = connamespace;
-- kind: text search parsers
SELECT prsname, prsstart, prstoken, prsend, prsheadline, prslextype FROM pg_ts_parser p JOIN own o ON o.oid = prsnamespace;
-- kind: text search templates
SELECT tmplname, tmplinit, tmpllexize FROM pg_ts_template t JOIN own o ON o.oid = tmplnamespace;
-- kind: text search dictionaries
SELECT dictname, dictowner::regrole, dictinitoption FROM pg_ts_dict d JOIN own o ON o.oid = dictnamespace;
-- kind: text search configurations
SELECT cfgname, maptokentype, mapseqno, mapdict::regdictionary FROM pg_ts_config c JOIN own o ON o.oid = cfgnamespace JOIN pg_ts_config_map m ON mapcfg = c.oid;
-- kind: enum types
SELECT enumtypid::regtype, enumlabel, row_number() OVER (PARTITION BY enumtypid ORDER BY enumsortorder) FROM pg_enum;
-- kind: composite types
SELECT t.oid::regtype, typowner::regrole, attname, format_type(atttypid, atttypmod) FROM pg_type t JOIN pg_class c ON c.oid = typrelid AND relkind = 'c' JOIN own o ON o.oid = typnamespace JOIN pg_attribute a ON attrelid = c.oid;
-- kind: domains
SELECT t.oid::regtype, format_type(typbasetype, typtypmod), typdefault, typnotnull FROM pg_type t JOIN own o ON o.oid = typnamespace WHERE typtype = 'd';
-- kind: domain constraints
SELECT contypid::regtype, conname, pg_get_constraintdef(oid), convalidated FROM pg_constraint WHERE contypid <> 0;
-- kind: range types
SELECT rngtypid::regtype, rngsubtype::regtype, rngsubdiff, rngcanonical FROM pg_range r JOIN pg_type t ON t.oid = rngtypid JOIN own o ON o.oid = typnamespace;
-- kind: multirange types
SELECT t.oid::regtype, typname FROM pg_type t JOIN own o ON o.oid = typnamespace WHERE typtype = 'm';
-- kind: base types
SELECT t.oid::regtype, typinput, typoutput, typlen, typbyval, typcategory, typdelim, typalign, typstorage FROM pg_type t JOIN own o ON o.oid = typnamespace WHERE typtype = 'b' AND typisdefined AND typelem = 0;
-- kind: shell types
SELECT t.oid::regtype FROM pg_type t JOIN own o ON o.oid = typnamespace WHERE NOT typisdefined;
-- kind: comments
SELECT (pg_identify_object(classoid, objoid, objsubid)).*, description FROM pg_description WHERE objoid >= 16384;
-- kind: table privileges
SELECT c.oid::regclass, relkind, ARRAY(SELECT unnest(relacl)::text ORDER BY 1) FROM pg_class c JOIN own o ON o.oid = relnamespace WHERE relacl IS NOT NULL;
-- kind: column privileges
SELECT attrelid::regclass, attname, ARRAY(SELECT unnest(attacl)::text ORDER BY 1) FROM pg_attribute JOIN pg_class c ON c.oid = attrelid JOIN own o ON o.oid = relnamespace WHERE attacl IS NOT NULL;
-- kind: function privileges
SELECT p.oid::regprocedure, ARRAY(SELECT unnest(proacl)::text ORDER BY 1) FROM pg_proc p JOIN own o ON o.oid = pronamespace WHERE proacl IS NOT NULL;
-- kind: type privileges
SELECT t.oid::regtype, ARRAY(SELECT unnest(typacl)::text ORDER BY 1) FROM pg_type t WHERE typacl IS NOT NULL;
-- kind: default privileges
SELECT defaclrole::regrole, defaclnamespace::regnamespace, defaclobjtype, ARRAY(SELECT unnest(defaclacl)::text ORDER BY 1) FROM pg_default_acl;
-- kind: row security
SELECT c.oid::regclass, relrowsecurity, relforcerowsecurity FROM pg_class c WHERE relrowsecurity OR relforcerowsecurity;
-- kind: policies
SELECT schemaname, tablename, policyname, permissive, roles, cmd, qual, with_check FROM pg_policies;
-- kind: large objects
SELECT m.oid, lomowner::regrole, ARRAY(SELECT unnest(lomacl)::text ORDER BY 1), md5(lo_get(m.oid)), length(lo_get(m.oid)) FROM pg_largeobject_metadata m;
-- kind: publications
SELECT pubname, pubowner::regrole, puballtables, pubinsert, pubupdate, pubdelete, pubtruncate, pubviaroot FROM pg_publication;
-- kind: tables of publications
SELECT pubname, prrelid::regclass, pg_get_expr(prqual, prrelid), prattrs FROM pg_publication_rel r JOIN pg_publication p ON p.oid = prpubid;
-- kind: schemas of publications
SELECT pubname, pnnspid::regnamespace FROM pg_publication_namespace n JOIN pg_publication p ON p.oid = pnpubid;
-- kind: subscriptions
SELECT subname, subowner::regrole, subenabled, subbinary, substream, subconninfo, subslotname, subsynccommit, subpublications FROM pg_subscription WHERE subdbid = (SELECT oid FROM pg_database WHERE datname = current_database());
-- kind: partitioned tables
SELECT c.oid::regclass, pg_get_partkeydef(c.oid) FROM pg_class c WHERE relkind = 'p';
-- kind: partitions
SELECT c.oid::regclass, inhparent::regclass, pg_get_expr(relpartbound, c.oid) FROM pg_class c JOIN pg_inherits ON inhrelid = c.oid WHERE relispartition AND relkind IN ('r', 'p');
-- kind: inheritance
SELECT inhrelid::regclass, inhparent::regclass, inhseqno FROM pg_inherits JOIN pg_class c ON c.oid = inhrelid WHERE NOT relispartition;
-- kind: statistics objects
SELECT stxname, stxnamespace::regnamespace, stxowner::regrole, stxstattarget, pg_get_statisticsobjdef(oid) FROM pg_statistic_ext;
-- kind: foreign data wrappers
SELECT fdwname, fdwowner::regrole, fdwhandler::regproc, fdwoptions, fdwacl FROM pg_foreign_data_wrapper;
-- kind: foreign servers
SELECT srvname, srvowner::regrole, srvtype, srvversion, ARRAY(SELECT unnest(srvoptions) ORDER BY 1), srvacl FROM pg_foreign_server;
-- kind: user mappings
SELECT srvname, usename, ARRAY(SELECT unnest(umoptions) ORDER BY 1) FROM pg_user_mappings;
-- kind: foreign tables
SELECT ftrelid::regclass, srvname, ARRAY(SELECT unnest(ftoptions) ORDER BY 1), attname, attfdwoptions FROM pg_foreign_table f JOIN pg_foreign_server s ON s.oid = ftserver JOIN pg_attribute ON attrelid = ftrelid AND attnum > 0;
-- kind: access methods
SELECT amname, amtype, amhandler FROM pg_am;
-- kind: languages
SELECT lanname, lanowner::regrole, lanpltrusted, lanplcallfoid::regproc, laninline::regproc, lanvalidator::regproc, lanacl FROM pg_language;
-- kind: transforms
SELECT trftype::regtype, lanname, trffromsql, trftosql FROM pg_transform t JOIN pg_language l ON l.oid = trflang;
