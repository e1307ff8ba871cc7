package chunk_test

import (
	"bytes"
	"slices"
	"testing"

	"google.golang.org/grpc/encoding"
	encodingproto "google.golang.org/grpc/encoding/proto"
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"github.com/pgharbor/pgharbor/internal/chunk"
	pgharborv1 "github.com/pgharbor/pgharbor/proto/pgharbor/v1"
)

var (
	codec = chunk.NewCodec()
	plain = encoding.GetCodecV2(encodingproto.Name)
)

// split cuts a message up as HTTP/2 frames do.
func split(message []byte, size int) mem.BufferSlice {
	var parts mem.BufferSlice
	for part := range slices.Chunk(message, size) {
		parts = append(parts, mem.SliceBuffer(part))
	}
	return parts
}

func bytesOf(t interface{ Fatal(...any) }, c chunk.Chunk) []byte {
	var b bytes.Buffer
	if _, err := c.WriteTo(&b); err != nil {
		t.Fatal(err)
	}
	if b.Len() != c.Len() {
		t.Fatal("it wrote", b.Len(), "of", c.Len(), "bytes")
	}
	return b.Bytes()
}

// An agent or CLI of any make understands what the codec sends, and the codec what
// they send, however it is cut up.
func TestWireIsThatOfTheContract(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		content := rapid.SliceOfN(rapid.Byte(), 0, 300).Draw(t, "content")
		sent := chunk.New(mem.SliceBuffer(content))
		raw, err := codec.Marshal(&sent)
		if err != nil {
			t.Fatal(err)
		}
		var upload pgharborv1.UploadRequest
		if err := plain.Unmarshal(raw, &upload); err != nil || !bytes.Equal(upload.GetChunk(), content) {
			t.Fatalf("%v: %x became %x", err, content, upload.GetChunk())
		}
		whole, err := proto.Marshal(&upload)
		if err != nil {
			t.Fatal(err)
		}
		message := &pgharborv1.DownloadResponse{Part: &pgharborv1.DownloadResponse_Header{}} // of the frame before
		frame := chunk.Frame{Message: message}
		if err := codec.Unmarshal(split(whole, rapid.IntRange(1, 64).Draw(t, "cut")), &frame); err != nil {
			t.Fatal(err)
		}
		if got := bytesOf(t, frame.Chunk); !bytes.Equal(got, content) || message.GetPart() != nil {
			t.Fatalf("%x became %x, beside %v", content, got, message)
		}
	})
}

// The buffers are the receiver's until it frees them, as gRPC frees its own
// references at once, and are not lost after that.
func TestChunkOwnsItsBuffers(t *testing.T) {
	pool := &countingPool{BufferPool: mem.DefaultBufferPool()}
	data := pool.Get(64 << 10)
	copy(*data, "\x12\xfc\xff\x03content")
	message := mem.BufferSlice{mem.NewBuffer(data, pool)}
	frame := chunk.Frame{Message: &pgharborv1.UploadRequest{}}
	if err := codec.Unmarshal(message, &frame); err != nil {
		t.Fatal(err)
	}
	message.Free()
	if pool.back != 0 {
		t.Fatal("the buffer is gone before the chunk")
	}
	if got := bytesOf(t, frame.Chunk); !bytes.HasPrefix(got, []byte("content")) {
		t.Errorf("it holds %.20q", got)
	}
	frame.Chunk.Free()
	if pool.back != 1 {
		t.Errorf("%d buffers came back", pool.back)
	}
}

type countingPool struct {
	mem.BufferPool
	back int
}

func (p *countingPool) Put(b *[]byte) { p.back++; p.BufferPool.Put(b) }

// Whatever comes, the chunk is what the plain codec finds, and what that refuses is
// refused.
func FuzzUnmarshal(f *testing.F) {
	f.Add([]byte("\x12\x03abc"), 2)               // a chunk
	f.Add([]byte("\x12\x83\x00abc"), 1)           // its length in more bytes than it takes
	f.Add([]byte("\x12\x01a\x12\x02bc"), 64)      // twice: the last counts
	f.Add([]byte("\x12\x03abc\x18\x01"), 64)      // with a field of a later version
	f.Add([]byte("\x12\x04abc"), 64)              // cut off
	f.Add([]byte("\x0a\x04\x0a\x02id"), 3)        // a header
	f.Add([]byte("\x12\x01a\x0a\x02\x0a\x00"), 1) // a header takes the chunk's place
	f.Add([]byte{}, 1)
	f.Fuzz(func(t *testing.T, message []byte, cut int) {
		parts := split(message, max(1, cut))
		var want, got pgharborv1.UploadRequest
		wantErr := plain.Unmarshal(parts, &want)
		frame := chunk.Frame{Message: &got}
		if err := codec.Unmarshal(parts, &frame); (err != nil) != (wantErr != nil) {
			t.Fatalf("%x: %v, want %v", message, err, wantErr)
		}
		if wantErr != nil {
			return
		}
		if content := bytesOf(t, frame.Chunk); !bytes.Equal(content, want.GetChunk()) {
			t.Errorf("%x: the chunk is %x, want %x", message, content, want.GetChunk())
		}
		if !proto.Equal(got.GetHeader(), want.GetHeader()) {
			t.Errorf("%x: the header is %v, want %v", message, got.GetHeader(), want.GetHeader())
		}
	})
}
