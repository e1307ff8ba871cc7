package backup

import "context"

// placing says where a database goes that was built.
type placing struct {
	target     string
	replace    bool // one that has the target's name is kept under another
	restoreID  string
	beforeSwap func(Replacement) error // may be nil
	foreign    bool                    // what is kept with the backup is of another instance
}

// place gives the restored database its name, and what it has beside its content: that of the one that it replaces, or
// else of the one that was backed up.
func (r *Restorer) place(ctx context.Context, temporary string, kept *globals, at placing, to listener) (err error) {
	progress := to.begin(PhaseSwap, 0).of(1)
	replaced := false
	if at.replace {
		replaced, err = r.swapper.replace(ctx, temporary, at.target, at.restoreID, at.beforeSwap)
	}
	if err == nil && !replaced {
		if err = r.bringProperties(ctx, temporary, kept, at.foreign, to); err == nil {
			err = r.instance.RenameDatabase(ctx, temporary, at.target)
		}
	}
	if err == nil {
		progress.end()
	}
	return err
}

// bringProperties gives a database that was just restored the properties that it had when it was backed up.
func (r *Restorer) bringProperties(ctx context.Context, temporary string, kept *globals, foreign bool, to listener) error {
	if kept == nil {
		return r.instance.OpenDatabase(ctx, temporary)
	}
	leftOut, err := r.instance.SetProperties(ctx, temporary, kept.properties, foreign)
	for _, what := range leftOut {
		to.warn("left out: " + what)
	}
	return err
}
