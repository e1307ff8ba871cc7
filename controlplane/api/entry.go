package api

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"

	"google.golang.org/protobuf/encoding/protojson"

	"github.com/pgharbor/pgharbor/controlplane/chain"
	pgharborv1 "github.com/pgharbor/pgharbor/proto/pgharbor/v1"
)

// WriteEntry writes an entry of the audit log as a line of JSON, as pgharbor audit export does and
// docs/audit.md says.
func WriteEntry(out io.Writer, e chain.Entry) error {
	loose, err := protojson.MarshalOptions{UseProtoNames: true, EmitUnpopulated: true}.Marshal(entryToProto(e))
	if err != nil {
		return fmt.Errorf("write entry %d: %w", e.Sequence, err)
	}
	var line bytes.Buffer
	if err := json.Compact(&line, loose); err != nil {
		return fmt.Errorf("write entry %d: %w", e.Sequence, err)
	}
	line.WriteByte('\n')
	_, err = out.Write(line.Bytes())
	return err
}

// ReadEntry reads what WriteEntry writes.
func ReadEntry(line []byte) (chain.Entry, error) {
	var e pgharborv1.AuditEntry
	if err := protojson.Unmarshal(line, &e); err != nil {
		return chain.Entry{}, fmt.Errorf("it is no entry of an audit log: %w", err)
	}
	return chain.Entry{
		Sequence: e.GetSequence(), At: e.GetAt().AsTime(), Actor: e.GetActor(), Action: e.GetAction(), Instance: e.GetInstance(),
		Target: e.GetTarget(), Reason: e.GetReason(), Outcome: e.GetOutcome(), Detail: e.GetDetail(), Completes: e.GetCompletes(),
		PreviousHash: e.GetPreviousHash(), Hash: e.GetHash(),
	}, nil
}
