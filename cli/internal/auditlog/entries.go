// Package auditlog verifies the audit log of a control plane on a person's machine, and remembers
// there what was verified.
package auditlog

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"

	"google.golang.org/protobuf/encoding/protojson"

	"github.com/pgharbor/pgharbor/controlplane/chain"
	pgharborv1 "github.com/pgharbor/pgharbor/proto/pgharbor/v1"
)

// WriteEntry writes an entry as a line of JSON. The same entry always gives the same line, which protojson does not
// promise.
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

// EntryFrom returns an entry of the wire as the audit log has it.
func EntryFrom(e *pgharborv1.AuditEntry) chain.Entry {
	return chain.Entry{
		Sequence: e.GetSequence(), At: e.GetAt().AsTime(), Actor: e.GetActor(), Action: e.GetAction(), Instance: e.GetInstance(),
		Target: e.GetTarget(), Reason: e.GetReason(), Outcome: e.GetOutcome(), Detail: e.GetDetail(), Completes: e.GetCompletes(),
		PreviousHash: e.GetPreviousHash(), Hash: e.GetHash(),
	}
}

// CheckpointFrom returns a signed checkpoint of the wire as the audit log has it.
func CheckpointFrom(h *pgharborv1.TrailHead) chain.SignedCheckpoint {
	return chain.SignedCheckpoint{
		Checkpoint: chain.Checkpoint{Sequence: h.GetSequence(), Hash: h.GetHash()}, At: h.GetAt().AsTime(),
		Signature: h.GetSignature(), Certificate: h.GetCertificate(),
	}
}

// SealFrom returns a seal of the wire as the audit log has it.
func SealFrom(s *pgharborv1.TrailSeal) chain.Seal {
	return chain.Seal{
		Checkpoint: chain.Checkpoint{Sequence: s.GetSequence(), Hash: s.GetHash()}, FileSHA256: s.GetFileSha256(), At: s.GetAt().AsTime(),
		Signature: s.GetSignature(), Certificate: s.GetCertificate(),
	}
}
