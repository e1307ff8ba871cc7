package admission

import (
	"bytes"
	"runtime"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/proto"

	pgharborv1 "github.com/pgharbor/pgharbor/proto/pgharbor/v1"
)

// decode has the codec decode a message, in two parts, and reports how many bytes
// were allocated for it.
func decode(encoded []byte, into proto.Message) (allocated int, err error) {
	codec := New(Default, nil, prometheus.NewRegistry()).Codec()
	parts := mem.BufferSlice{mem.SliceBuffer(encoded[:len(encoded)/2]), mem.SliceBuffer(encoded[len(encoded)/2:])}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	err = codec.Unmarshal(parts, into)
	runtime.ReadMemStats(&after)
	return int(after.TotalAlloc - before.TotalAlloc), err
}

// within wraps an encoded message in others, by the numbers of the fields, all below 16.
func within(encoded []byte, fields ...byte) []byte {
	for _, field := range fields {
		head := []byte{field<<3 | 2}
		for n := len(encoded); ; n >>= 7 {
			if n < 0x80 {
				head = append(head, byte(n))
				break
			}
			head = append(head, byte(n)|0x80)
		}
		encoded = append(head, encoded...)
	}
	return encoded
}

// Messages that are small on the wire and large in memory, with n of what is small.
var heavy = map[string]struct {
	of   func(n int) []byte
	into proto.Message
}{
	"empty backups":        {func(n int) []byte { return within(bytes.Repeat([]byte{1<<3 | 2, 0}, n), 3) }, &pgharborv1.ConnectRequest{}},
	"empty databases":      {func(n int) []byte { return within(bytes.Repeat([]byte{11<<3 | 2, 0}, n), 2, 1) }, &pgharborv1.ConnectRequest{}},
	"empty ids":            {func(n int) []byte { return within(bytes.Repeat([]byte{3<<3 | 2, 0}, n), 1) }, &pgharborv1.ConnectRequest{}},
	"empty tables":         {func(n int) []byte { return within(bytes.Repeat([]byte{0xc2, 1, 0}, n), 1) }, &pgharborv1.InventoryPage{}},
	"a hello, then a beat": {func(n int) []byte { return bytes.Repeat([]byte{1<<3 | 2, 0, 2<<3 | 2, 0}, n/2) }, &pgharborv1.ConnectRequest{}},
	"backups, broken off":  {func(n int) []byte { return append(bytes.Repeat([]byte{1<<3 | 2, 0}, n), 0xff) }, &pgharborv1.InventoryPage{}},
	"empty authorities":    {func(n int) []byte { return bytes.Repeat([]byte{1<<3 | 2, 0}, n) }, &pgharborv1.SyncAuthoritiesRequest{}},
}

func TestWhatWouldBeLargeInMemoryIsNotDecoded(t *testing.T) {
	for name, m := range heavy {
		encoded := m.of(1_300_000)
		if allocated, err := decode(encoded, m.into); err == nil || allocated > len(encoded)+1<<20 {
			t.Errorf("%s, %d bytes on the wire: %d were allocated, %v", name, len(encoded), allocated, err)
		}
	}
}

// What a message is said to weigh is what decoding takes, more or less.
func TestWeightIsThatOfTheDecodedMessage(t *testing.T) {
	for name, m := range heavy {
		encoded := m.of(10_000)
		weight := weigh(encoded, m.into.ProtoReflect().Descriptor(), 1<<40)
		into := m.into.ProtoReflect().New().Interface()
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_ = proto.Unmarshal(encoded, into) // one of them is cut
		runtime.ReadMemStats(&after)
		took := int(after.TotalAlloc - before.TotalAlloc)
		if took > 2*weight || weight > 4*took {
			t.Errorf("%s: it weighs %d, and decoding took %d", name, weight, took)
		}
	}
}

// The heaviest page that an agent makes: a mebibyte of tables with the shortest names.
func TestPageOfManyTablesIsDecoded(t *testing.T) {
	backup := &pgharborv1.Backup{Id: "a"}
	for range 50_000 {
		backup.Tables = append(backup.Tables, &pgharborv1.TableRows{Schema: "a", Name: "b", Rows: 1})
	}
	sent := &pgharborv1.ConnectRequest{Message: &pgharborv1.ConnectRequest_InventoryPage{InventoryPage: &pgharborv1.InventoryPage{
		Backups: []*pgharborv1.Backup{backup, backup},
	}}}
	encoded, err := proto.Marshal(sent)
	if err != nil || len(encoded) < 1<<20 {
		t.Fatalf("%d bytes, %v", len(encoded), err)
	}
	got := &pgharborv1.ConnectRequest{}
	if _, err := decode(encoded, got); err != nil || !proto.Equal(got, sent) {
		t.Errorf("a page of %d bytes: %v", len(encoded), err)
	}
	if err := New(Default, nil, prometheus.NewRegistry()).Codec().Unmarshal(mem.BufferSlice{mem.SliceBuffer(encoded[:1000])}, got); err == nil {
		t.Error("one that is broken off is taken")
	}
}
