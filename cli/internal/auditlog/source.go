package auditlog

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"os"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/pgharbor/pgharbor/internal/exit"
	pgharborv1 "github.com/pgharbor/pgharbor/proto/pgharbor/v1"
)

// Source hands the entries of an audit log to add, the oldest first, and ends with the first error
// of that.
type Source func(add func(*pgharborv1.AuditEntry) error) error

// ControlPlane is the audit log that a control plane has, from where it was sealed off.
func ControlPlane(ctx context.Context, conn *grpc.ClientConn) Source {
	return func(add func(*pgharborv1.AuditEntry) error) error { return each(ctx, conn, add) }
}

func each(ctx context.Context, conn *grpc.ClientConn, add func(*pgharborv1.AuditEntry) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := pgharborv1.NewAuditServiceClient(conn).ExportAuditEntries(ctx, &pgharborv1.ExportAuditEntriesRequest{})
	if err != nil {
		return err
	}
	for {
		part, err := stream.Recv()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		for _, entry := range part.GetEntries() {
			if err := add(entry); err != nil {
				return err
			}
		}
	}
}

// File is an audit log, or a part of one, that was exported to a file; - is standard input.
func File(path string, stdin io.Reader) Source {
	return func(add func(*pgharborv1.AuditEntry) error) error {
		in := stdin
		if path != "-" {
			f, err := os.Open(path)
			if err != nil {
				return err
			}
			defer f.Close()
			in = f
		}
		return eachLine(in, add)
	}
}

// eachLine hands over every entry of an export.
func eachLine(in io.Reader, add func(*pgharborv1.AuditEntry) error) error {
	lines := bufio.NewReader(in)
	for number := 1; ; number++ {
		line, err := lines.ReadBytes('\n')
		if err != nil && err != io.EOF {
			return err
		}
		if len(bytes.TrimSpace(line)) > 0 {
			var entry pgharborv1.AuditEntry
			if err := protojson.Unmarshal(line, &entry); err != nil {
				return exit.Fail(exit.Integrity, "line %d is no entry of an audit log: %w", number, err)
			}
			if err := add(&entry); err != nil {
				return err
			}
		}
		if err == io.EOF {
			return nil
		}
	}
}
