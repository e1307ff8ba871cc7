// Package trail verifies the trail of a control plane on a person's machine, and remembers there what was verified.
package trail

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/pgharbor/pgharbor/controlplane/chain"
	"github.com/pgharbor/pgharbor/internal/exit"
	pgharborv1 "github.com/pgharbor/pgharbor/proto/pgharbor/v1"
)

// Each calls f for every entry of the trail, oldest first.
func Each(ctx context.Context, conn *grpc.ClientConn, f func(*pgharborv1.AuditEntry) error) error {
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
			if err := f(entry); err != nil {
				return err
			}
		}
	}
}

// WriteEntry writes a line that is the same for the same entry, which protojson's
// own is not.
func WriteEntry(out io.Writer, e *pgharborv1.AuditEntry) error {
	loose, err := protojson.MarshalOptions{UseProtoNames: true, EmitUnpopulated: true}.Marshal(e)
	if err != nil {
		return fmt.Errorf("write entry %d: %w", e.GetSequence(), err)
	}
	var line bytes.Buffer
	if err := json.Compact(&line, loose); err != nil {
		return fmt.Errorf("write entry %d: %w", e.GetSequence(), err)
	}
	line.WriteByte('\n')
	_, err = out.Write(line.Bytes())
	return err
}

// EachLine calls f for every entry of an export.
func EachLine(in io.Reader, f func(*pgharborv1.AuditEntry) error) error {
	lines := bufio.NewReader(in)
	for number := 1; ; number++ {
		line, err := lines.ReadBytes('\n')
		if err != nil && err != io.EOF {
			return err
		}
		if len(bytes.TrimSpace(line)) > 0 {
			var entry pgharborv1.AuditEntry
			if err := protojson.Unmarshal(line, &entry); err != nil {
				return exit.Fail(exit.Integrity, "line %d is no entry of a trail: %w", number, err)
			}
			if err := f(&entry); err != nil {
				return err
			}
		}
		if err == io.EOF {
			return nil
		}
	}
}

// EntryFrom returns an entry of the wire as the trail has it.
func EntryFrom(e *pgharborv1.AuditEntry) chain.Entry {
	return chain.Entry{
		Sequence: e.GetSequence(), At: e.GetAt().AsTime(), Actor: e.GetActor(), Action: e.GetAction(), Instance: e.GetInstance(),
		Target: e.GetTarget(), Reason: e.GetReason(), Outcome: e.GetOutcome(), Detail: e.GetDetail(), Completes: e.GetCompletes(),
		PreviousHash: e.GetPreviousHash(), Hash: e.GetHash(),
	}
}

// HeadFrom returns a signed head of the wire as the trail has it.
func HeadFrom(h *pgharborv1.TrailHead) chain.SignedHead {
	return chain.SignedHead{
		Head: chain.Head{Sequence: h.GetSequence(), Hash: h.GetHash()}, At: h.GetAt().AsTime(),
		Signature: h.GetSignature(), Certificate: h.GetCertificate(),
	}
}

// SealFrom returns a seal of the wire as the trail has it.
func SealFrom(s *pgharborv1.TrailSeal) chain.Seal {
	return chain.Seal{
		Head: chain.Head{Sequence: s.GetSequence(), Hash: s.GetHash()}, FileSHA256: s.GetFileSha256(), At: s.GetAt().AsTime(),
		Signature: s.GetSignature(), Certificate: s.GetCertificate(),
	}
}
