package backup

import (
	"context"
	"regexp"

	"github.com/pgharbor/pgharbor/agent/postgres"
)

// clientEncoding is the line in which a dump says its encoding.
var clientEncoding = regexp.MustCompile(`(?m)^SET client_encoding = '([A-Za-z0-9_]+)';$`)

// likeness is the encoding and locale of the database that was dumped. Of a file without a manifest, or whose manifest
// does not say, only the encoding is known, from the dump itself.
func likeness(ctx context.Context, instance *postgres.Instance, m *Manifest, head []byte) (postgres.Database, error) {
	if m != nil && m.Collation != "" {
		return postgres.Database{Encoding: m.Encoding, Collate: m.Collation, CType: m.CType, LocaleProvider: m.LocaleProvider, Locale: m.Locale}, nil
	}
	match := clientEncoding.FindSubmatch(head)
	if match == nil {
		return postgres.Database{}, nil
	}
	template, err := instance.Database(ctx, "template0")
	if err != nil || template.Encoding == string(match[1]) {
		return postgres.Database{}, err
	}
	// C is the one locale that goes with every encoding.
	return postgres.Database{Encoding: string(match[1]), Collate: "C", CType: "C", LocaleProvider: "libc"}, nil
}
