package job

import (
	"cmp"
	"context"
	"log/slog"

	"github.com/pgharbor/pgharbor/agent/backup"
)

// importer takes backups of the old script over.
type importer struct {
	engine                          *backup.Engine
	log                             *slog.Logger
	inventory                       *InventoryReader
	warnings                        *warnings
	defaultDatabase, importDatabase string
}

func (a *importer) importFiles(ctx context.Context) {
	imported, err := a.engine.Adopt(ctx, cmp.Or(a.importDatabase, a.defaultDatabase))
	for _, manifest := range imported {
		a.log.Info("imported a backup of the old script",
			"file", manifest.Filename, "database", manifest.Database, "backup", manifest.ID, "complete", manifest.Complete)
	}
	if len(imported) > 0 && a.importDatabase == "" {
		a.log.Warn("the files of the old script do not say which database they are of; if that is another one, set BACKUP_ADOPT_DATABASE",
			"database", a.defaultDatabase)
	}
	if len(imported) > 0 {
		a.inventory.forget()
	}
	if ctx.Err() != nil {
		return
	}
	if err != nil {
		a.log.Error("a file of the old script could not be imported", "error", err)
	}
	a.warnings.set(warnImport, sentence("files of the old script could not be imported", err))
}
