package signing

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// marksName is the file in the state folder that lists the databases whose content the agent's
// signature does not attest.
const marksName = "unproven-databases.json"

// marks are what is recorded of databases: by their server's system identifier, and then by their
// OIDs, which stay when they are renamed.
type marks map[string]map[string]json.RawMessage

// Mark notes something, in JSON, of a database of a server. Databases are all that the server has
// now, by OID: what is recorded of others of that server is forgotten.
func (s *Signer) Mark(server, oid string, note json.RawMessage, databases map[string]string) error {
	return s.changeMarks(func(all marks) {
		kept := map[string]json.RawMessage{oid: note}
		for known, earlier := range all[server] {
			if _, exists := databases[known]; exists && known != oid {
				kept[known] = earlier
			}
		}
		all[server] = kept
	})
}

// Unmark forgets what is recorded of a database.
func (s *Signer) Unmark(server, oid string) error {
	mark, err := s.Marked(server, oid)
	if err != nil || mark == nil {
		return err
	}
	return s.changeMarks(func(all marks) { delete(all[server], oid) })
}

// Marked returns what is recorded of a database; nil for nothing.
func (s *Signer) Marked(server, oid string) (json.RawMessage, error) {
	all, err := s.readMarks()
	return all[server][oid], err
}

func (s *Signer) changeMarks(change func(marks)) error {
	return s.locked(func() error {
		all, err := s.readMarks()
		if err != nil {
			return err
		}
		change(all)
		data, err := json.Marshal(all)
		if err == nil {
			err = s.write(marksName, data)
		}
		if err != nil {
			return fmt.Errorf("marked databases: %w", err)
		}
		return nil
	})
}

func (s *Signer) readMarks() (marks, error) {
	all := marks{}
	data, err := os.ReadFile(filepath.Join(s.dir, marksName))
	if errors.Is(err, fs.ErrNotExist) {
		return all, nil
	}
	if err == nil {
		err = json.Unmarshal(data, &all)
	}
	if err == nil && all == nil {
		err = errors.New("it holds nothing")
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", marksName, err)
	}
	return all, nil
}
