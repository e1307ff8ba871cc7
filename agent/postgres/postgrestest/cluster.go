package postgrestest

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"syscall"
)

// A cluster that initdb has made is kept in memory, some 40 MB, once a process makes another one of the same kind: to write it again takes a
// tenth of the time. All of a kind have the same system identifier.
var clusters = struct {
	sync.Mutex
	asked map[string]int
	kept  map[string]cluster
}{asked: map[string]int{}, kept: map[string]cluster{}}

// cluster is the content of a data folder, in the order of a walk.
type cluster []clusterFile

type clusterFile struct {
	path    string // below the folder
	mode    fs.FileMode
	content []byte
}

// makeCluster makes a data folder by initdb, or as initdb made one of the same kind before, for an owner; nil is who runs the tests.
func makeCluster(dir, kind string, owner *syscall.Credential, initdb func() error) error {
	clusters.Lock()
	kept, known := clusters.kept[kind]
	clusters.asked[kind]++
	again := clusters.asked[kind] > 1
	clusters.Unlock()
	if known {
		return kept.write(dir, owner)
	}
	if err := initdb(); err != nil || !again {
		return err
	}
	made, err := readCluster(dir)
	if err != nil {
		return err
	}
	clusters.Lock()
	clusters.kept[kind] = made
	clusters.Unlock()
	return nil
}

func readCluster(dir string) (cluster, error) {
	var made cluster
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		below, err := filepath.Rel(dir, path)
		file := clusterFile{path: below, mode: info.Mode()}
		if err == nil && info.Mode().IsRegular() {
			file.content, err = os.ReadFile(path)
		}
		made = append(made, file)
		return err
	})
	return made, err
}

func (c cluster) write(dir string, owner *syscall.Credential) error {
	for _, file := range c {
		path := filepath.Join(dir, file.path)
		var err error
		if file.mode.IsDir() {
			err = os.Mkdir(path, file.mode.Perm())
		} else {
			err = os.WriteFile(path, file.content, file.mode.Perm())
		}
		if owner != nil {
			err = errors.Join(err, os.Lchown(path, int(owner.Uid), int(owner.Gid)))
		}
		if err != nil {
			return err
		}
	}
	return nil
}
