package backup

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"time"

	"github.com/pgharbor/pgharbor/agent/postgres"
	"github.com/pgharbor/pgharbor/agent/store"
)

const (
	// globalsTimeout bounds the reading of roles and tablespaces, which takes less than a second: a backup does not wait
	// longer for what it can do without.
	globalsTimeout = 5 * time.Minute
	// maxGlobals bounds what is read of a globals file, sealed or not.
	maxGlobals = 128 << 20
	// propertiesMark begins the last line of a globals file: the properties of the database, as JSON.
	propertiesMark = "-- pgharbor database properties: "
)

// Globals describes the globals file of a backup, <file>.globals, which holds what pg_dump leaves out: the roles and
// tablespaces of the instance, and the properties of the database. It is compressed and sealed as the file is.
type Globals struct {
	Filename       string `json:"filename"` // without folders
	SizeBytes      int64  `json:"size_bytes"`
	SHA256         string `json:"sha256"`
	PlainSizeBytes int64  `json:"plain_size_bytes"`
	PlainSHA256    string `json:"plain_sha256"`
	// Passwords reports whether the roles' passwords are in it, as hashes.
	Passwords bool     `json:"passwords"`
	Roles     []string `json:"roles"` // that it can make
}

// globals is the content of a globals file.
type globals struct {
	postgres.Globals
	properties postgres.Properties
}

// collectGlobals reads the globals while the dump goes by. The channel gives one answer.
func collectGlobals(ctx context.Context, instance *postgres.Instance, database string) <-chan collected {
	answer := make(chan collected, 1)
	go func() {
		ctx, cancel := context.WithTimeout(ctx, globalsTimeout)
		defer cancel()
		var c collected
		c.properties, c.err = instance.Properties(ctx, database)
		if c.err == nil {
			c.Globals, c.err = instance.Globals(ctx, database)
		}
		answer <- c
	}()
	return answer
}

type collected struct {
	globals
	err error
}

// addGlobals gives the backup its globals file. Without roles a backup is worth more than none: where they can't be had, it
// has no globals file and says so with its warnings.
func (d *Dumper) addGlobals(m *Manifest, file store.Pending, c collected) error {
	if c.err != nil {
		m.Warnings = append(m.Warnings, fmt.Sprintf("warning: roles, tablespaces and the settings of the database are not kept: %v", c.err))
		return nil
	}
	text, err := c.text(m.Database)
	if err != nil {
		return err
	}
	var sealed bytes.Buffer
	stored := newMeter(&sealed)
	sink, err := wrap(d.keys, *m, stored)
	if err != nil {
		return err
	}
	plain := newMeter(sink)
	if _, err := plain.Write(text); err != nil {
		return err
	}
	if err := sink.finish(nil); err != nil {
		return err
	}
	m.Globals = &Globals{
		SizeBytes: stored.size, SHA256: stored.sum(), PlainSizeBytes: plain.size, PlainSHA256: plain.sum(),
		Passwords: c.Passwords, Roles: c.Roles,
	}
	file.AddGlobals(sealed.Bytes())
	return nil
}

// text is the globals file's content: a script for psql, whose last line is for pgharbor.
func (g globals) text(database string) ([]byte, error) {
	line, err := json.Marshal(g.properties)
	if err != nil {
		return nil, err
	}
	text := bytes.NewBuffer(bytes.Clone(g.Script))
	text.WriteString("\n--\n-- Properties of the database, which must exist\n--\n\n")
	for _, statement := range g.properties.Statements(database) {
		fmt.Fprintf(text, "%s;\n", statement)
	}
	fmt.Fprintf(text, "\n%s%s\n", propertiesMark, line)
	return text.Bytes(), nil
}

// parseGlobals reads the content of a globals file.
func parseGlobals(text []byte) (globals, error) {
	text = bytes.TrimSuffix(text, []byte("\n"))
	script, line := text[:bytes.LastIndexByte(text, '\n')+1], text[bytes.LastIndexByte(text, '\n')+1:]
	line, ok := bytes.CutPrefix(line, []byte(propertiesMark))
	if !ok {
		return globals{}, fmt.Errorf("%w: roles and settings: the last line is not pgharbor's", ErrDamaged)
	}
	g := globals{Globals: postgres.Globals{Script: script}}
	if err := json.Unmarshal(line, &g.properties); err != nil {
		return globals{}, fmt.Errorf("%w: roles and settings: %w", ErrDamaged, err)
	}
	return g, nil
}

// readGlobals opens the globals file of a backup's file, holds it against the manifest and returns what is in it; ErrNotFound
// where it is gone.
func (f *fileReader) readGlobals(from Source, m *Manifest) (globals, error) {
	file, err := from.OpenGlobals()
	if errors.Is(err, fs.ErrNotExist) {
		return globals{}, globalsGone{err}
	}
	if err != nil {
		return globals{}, err
	}
	defer file.Close()
	stored, err := readStored(fromStart(file), m.Globals)
	if err != nil {
		return globals{}, err
	}
	sealed := bytes.NewReader(stored)
	src, err := f.identify(sealed)
	if err != nil {
		return globals{}, fmt.Errorf("roles and settings: %w", err)
	}
	reader, err := src.open(sealed)
	if err != nil {
		return globals{}, err
	}
	var text bytes.Buffer
	plain := newMeter(&text)
	if _, err := io.Copy(plain, io.LimitReader(reader, maxGlobals)); err != nil {
		return globals{}, fmt.Errorf("%w: roles and settings: %w", ErrDamaged, err)
	}
	if plain.sum() != m.Globals.PlainSHA256 {
		return globals{}, fmt.Errorf("%w: the roles and settings are not those of its manifest", ErrDamaged)
	}
	return parseGlobals(text.Bytes())
}

// globalsGone is ErrNotFound of a globals file: the backup itself is there.
type globalsGone struct{ error }

// Error implements error.
func (g globalsGone) Error() string {
	return "the file with its roles and settings is gone: " + g.error.Error()
}

// Unwrap returns what it stands for, and why.
func (g globalsGone) Unwrap() []error { return []error{ErrNotFound, g.error} }

// readStored reads a globals file as it is stored; ErrDamaged where it is not what the manifest says.
func readStored(file io.Reader, want *Globals) ([]byte, error) {
	var content bytes.Buffer
	stored := newMeter(&content)
	if _, err := io.Copy(stored, io.LimitReader(file, min(want.SizeBytes, maxGlobals)+1)); err != nil {
		return nil, err
	}
	if stored.size != want.SizeBytes || stored.sum() != want.SHA256 {
		return nil, fmt.Errorf("%w: %s: its SHA-256 is not the one of its manifest", ErrDamaged, want.Filename)
	}
	return content.Bytes(), nil
}
