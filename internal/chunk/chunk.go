// Package chunk takes a file's bytes through gRPC without copying them. The wire
// stays that of transfer.proto: `bytes chunk = 2` is encoded alike in UploadRequest
// and DownloadResponse, so what came in the one goes out as the other, in the
// buffers it came in.
package chunk

import (
	"io"

	"google.golang.org/grpc/encoding"
	encodingproto "google.golang.org/grpc/encoding/proto"
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
)

// field is the number of `chunk` in both messages.
const field protowire.Number = 2

// longestHead is the most that comes before the bytes: the tag and a length.
const longestHead = 1 + 10

// Chunk is an encoded message that holds bytes of a file and nothing else. It owns references to
// its buffers: anyone who has it last frees it. Its zero value is empty.
type Chunk struct {
	message mem.BufferSlice
	head    int // bytes of the message before those of the file
}

// New makes a chunk of a buffer, which it takes over.
func New(content mem.Buffer) Chunk {
	head := protowire.AppendTag(nil, field, protowire.BytesType)
	head = protowire.AppendVarint(head, uint64(content.Len()))
	return Chunk{message: mem.BufferSlice{mem.SliceBuffer(head), content}, head: len(head)}
}

// parse finds the chunk in a message, which stays the caller's; ok is false for any
// message that is not exactly one chunk.
func parse(message mem.BufferSlice) (c Chunk, ok bool) {
	var start [longestHead]byte
	head := start[:message.CopyTo(start[:])]
	number, kind, tagged := protowire.ConsumeTag(head)
	if tagged < 0 || number != field || kind != protowire.BytesType {
		return Chunk{}, false
	}
	length, n := protowire.ConsumeVarint(head[tagged:])
	if n < 0 || length != uint64(message.Len()-tagged-n) {
		return Chunk{}, false
	}
	return Chunk{message: message, head: tagged + n}, true
}

// Len returns how many bytes of the file it holds.
func (c Chunk) Len() int { return c.message.Len() - c.head }

// WriteTo implements io.WriterTo: it writes the bytes of the file, buffer by buffer.
func (c Chunk) WriteTo(w io.Writer) (written int64, err error) {
	skip := c.head
	for _, buffer := range c.message {
		data := buffer.ReadOnlyData()
		if skip >= len(data) {
			skip -= len(data)
			continue
		}
		n, err := w.Write(data[skip:])
		written += int64(n)
		if err != nil {
			return written, err
		}
		skip = 0
	}
	return written, nil
}

// Free gives the buffers back. The chunk is not used after it.
func (c Chunk) Free() { c.message.Free() }

// Frame is what a chunk is received into, from a stream of messages that may be
// something else.
type Frame struct {
	// Chunk belongs to the receiver. It is empty if the message has none.
	Chunk Chunk
	// Message is set by the receiver to a message that has a chunk. It is decoded
	// into where it is not just the chunk, and empty otherwise.
	Message interface {
		proto.Message
		GetChunk() []byte
	}
}

// Codec is gRPC's codec of protobuf messages that also sends a *Chunk, which is gone
// then, and receives a *Frame.
type Codec struct{ encoding.CodecV2 }

// NewCodec returns the codec for grpc.ForceCodecV2 and grpc.ForceServerCodecV2.
func NewCodec() Codec { return Codec{encoding.GetCodecV2(encodingproto.Name)} }

// Marshal implements encoding.CodecV2.
func (c Codec) Marshal(v any) (mem.BufferSlice, error) {
	if chunk, ok := v.(*Chunk); ok {
		return chunk.message, nil
	}
	return c.CodecV2.Marshal(v)
}

// Unmarshal implements encoding.CodecV2.
func (c Codec) Unmarshal(message mem.BufferSlice, v any) error {
	frame, ok := v.(*Frame)
	if !ok {
		return c.CodecV2.Unmarshal(message, v)
	}
	if frame.Chunk, ok = parse(message); ok {
		message.Ref() // gRPC frees its own references
		proto.Reset(frame.Message)
		return nil
	}
	if err := c.CodecV2.Unmarshal(message, frame.Message); err != nil {
		return err
	}
	frame.Chunk = New(mem.SliceBuffer(frame.Message.GetChunk()))
	return nil
}
