package job

import (
	"cmp"
	"context"
	"log/slog"

	"github.com/pgharbor/pgharbor/agent/backup"
)

// adopter takes backups of the old script over.
type adopter struct {
	engine                         *backup.Engine
	log                            *slog.Logger
	inventory                      *InventoryReader
	warnings                       *warnings
	defaultDatabase, adoptDatabase string
}

func (a *adopter) adopt(ctx context.Context) {
	adopted, err := a.engine.Adopt(ctx, cmp.Or(a.adoptDatabase, a.defaultDatabase))
	for _, manifest := range adopted {
		a.log.Info("adopted a backup of the old script",
			"file", manifest.Filename, "database", manifest.Database, "backup", manifest.ID, "complete", manifest.Complete)
	}
	if len(adopted) > 0 && a.adoptDatabase == "" {
		a.log.Warn("the files of the old script do not say which database they are of; where that is another one, set BACKUP_ADOPT_DATABASE",
			"database", a.defaultDatabase)
	}
	if len(adopted) > 0 {
		a.inventory.forget()
	}
	if ctx.Err() != nil {
		return
	}
	if err != nil {
		a.log.Error("a file of the old script could not be adopted", "error", err)
	}
	a.warnings.set(warnAdoption, sentence("files of the old script could not be adopted", err))
}
