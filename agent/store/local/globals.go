package local

import "github.com/pgharbor/pgharbor/agent/store"

// sizeOf is the size of a regular file in bytes; -1 where there is none.
func (d *folder) sizeOf(name string) int64 {
	info, err := d.root.Lstat(name)
	if err != nil || !info.Mode().IsRegular() {
		return -1
	}
	return info.Size()
}

// removeBackup removes a backup's file and its companion, which a crash in between leaves to the next sweep.
func (d *folder) removeBackup(file string) error {
	if err := d.remove(file); err != nil {
		return err
	}
	if exists, err := d.exists(store.GlobalsName(file)); err != nil || !exists {
		return err
	}
	return d.remove(store.GlobalsName(file))
}
