// Package backup is the pipeline, both ways, and the manifest. A backup is a dump that was read to pg_dump's own end,
// sealed, hashed and stored in one pass; a restore verifies the whole file before its first byte reaches Postgres, and
// fills a fresh database that gets its name at the very end.
//
// New makes the parts of a Config. Each is a type with the fields that it needs:
//
//	Dumper        takes backups                        dump.go, pipeline.go, globals.go, sign.go
//	Repository    the stored backups                   repository.go, inventory.go, hold.go, scrub.go
//	Importer      files that somebody else left        import.go
//	Origins       who made a backup                    origin.go
//	Marks         databases from unknown files         marks.go
//	Restorer      restores, and checks before          restore.go, and the files below
//	Swapper       exchanges databases                  swap.go
//	TestRestorer  restores for a test                  test_restore*.go
//
// There is one way through a restore. Restorer.Restore, in restore.go, names its steps in their order; a step is given what
// it needs of the request, and returns what the next ones need:
//
//	look     preflight.go, preflight_checks.go, preflight_rights.go: what stands in the way, before anything is touched
//	verify   verify.go, source.go, inspect.go: the whole file, which says what is in it (a verified)
//	roles    roles.go: the globals that are kept beside it, and the roles that are missing
//	build    build.go: a database under a temporary name (a built), filled by one of load_guarded.go, as a rule,
//	         load_sandboxed.go, where nobody knows who made the file, and load.go, where somebody trusts it
//	compare  compare.go: its rows with those of the dump
//	mark     marks.go: that it is of unknown origin, where it is
//	swap     place.go: the name, and with swap.go the place of another database
//
// What a restore has made that failed, cleanup.go takes back; what one left that died, too.
package backup
