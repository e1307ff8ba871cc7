// Package load fills a database from a dump, so that nobody gains rights by the code in it. [Guarded] is for a live
// server: each owner's objects are made and filled by a login of that owner. [Archive] (archive.go) is for a throwaway
// server, where a superuser may run all of it. The rest of this page is about guarded loads.
//
// # Who runs what
//
// A guarded load has three kinds of session (sessions.go). They are opened in source.go, with the settings that the
// database's code goes by (settings.go):
//
//   - the superuser's, or that of the role that restores. It runs only what runs no code of others.
//   - an owner's, by a login that is made for it and is a member of that owner alone (logins.go). It runs what may run
//     the owner's code. An owner may lack rights that it had when the object was made; lend.go lends them to a login
//     that runs nobody's code.
//   - nobody's, by a login that is a member of nothing. It may insert into one table, and use the schemas of the
//     functions that this calls. It loads rows if that runs code of several owners.
//
// Each goroutine has sessions of its own, and through the superuser's it asks the server: catalog (catalog.go, table.go)
// what there is and whose it is; codeFinder (code.go, code_*.go) which code of others can be reached. The ways that it
// follows are in ways.go. code_statement.go asks that for one statement of the dump.
//
// # The way of a restore
//
// Guarded.Into (guarded.go) finds the owners of the dump and their search paths (owners.go), puts the parts together
// and calls loader.load (loader.go), which names the stages:
//
//  1. Objects: each statement goes to maker (define.go), each object then gets its owner and its grants (rights.go,
//     grants.go). maker decides by the statement: a new object that may run code is made by its owner's login in a
//     schema of that login (define_as.go) and moved (move.go); what changes a table is in change.go and change_as.go,
//     partitions are in define_attach.go. A schema gets its owner last (schemas.go); lend_public.go lends the schema
//     public.
//  2. Policies, and row security that does not bind who loads (guards.go).
//  3. Data (data.go): from a plain dump (data_plain.go) or an archive (data_archive.go). rowLoader (rows.go) decides who
//     loads each table, locks it and looks again (rows_lock.go), or leaves it to a login of nobody (rows_nobody.go).
//     Tables whose rows call functions (data_calling.go) come in a second pass, when the others have their guards.
//     While tables wait for that, others than their owners have no rights on them (guards_withhold.go).
//  4. The rest of row security.
//  5. What stands on rows: indexes, constraints and triggers (build.go), foreign keys (keys.go), materialized views
//     (views.go). workers.go spreads them over several sessions.
//  6. The rest of the rights, the end of the logins, and schemas to their owners.
//
// Last come event triggers and what else would be in the way before. There is no transaction around it all: the caller
// drops the database if the load fails.
//
// # What is shared
//
// The parts are shared by all goroutines. Three have a lock that is held while statements run: maker.moving while a
// table is in another schema for a moment, pathRunner.quiet (paths.go) while the superuser finds names by a search path,
// and logins.granting while rights are given or taken. A goroutine that needs several takes moving first, then quiet,
// then granting. guards is for one goroutine at a time. progress (progress.go) counts rows and knows which tables wait.
package load
