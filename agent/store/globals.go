package store

// globalsSuffix is added to a backup's file name for the name of its companion: roles, tablespaces and the settings of the
// database, sealed as the file is.
const globalsSuffix = ".globals"

// GlobalsName is the name of the companion of a backup's file.
func GlobalsName(file string) string { return file + globalsSuffix }

// AddGlobals gives the backup a companion with this content, which Commit makes durable before the manifest. It comes and
// goes with the backup.
func (f *File) AddGlobals(content []byte) { f.globals = content }

// OpenGlobals opens the companion of a backup's file; fs.ErrNotExist where there is none.
func (s *Store) OpenGlobals(loc Location) (*Object, error) {
	d, err := s.locate(loc)
	if err != nil {
		return nil, err
	}
	defer d.close()
	f, _, err := d.open(GlobalsName(loc.File))
	if err != nil {
		return nil, err
	}
	return newObject(f)
}

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
	if exists, err := d.exists(GlobalsName(file)); err != nil || !exists {
		return err
	}
	return d.remove(GlobalsName(file))
}
