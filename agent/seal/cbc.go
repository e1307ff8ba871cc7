package seal

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"errors"
	"fmt"
	"io"
)

var errClosed = errors.New("write after close")

// cbcWriter encrypts in CBC and adds the padding of PKCS#7 at the end.
type cbcWriter struct {
	w    io.Writer
	mode cipher.BlockMode
	buf  []byte // plain bytes not yet encrypted; its capacity is a whole number of blocks
	err  error
}

func (c *cbcWriter) Write(p []byte) (int, error) {
	written := 0
	for len(p) > 0 && c.err == nil {
		n := min(cap(c.buf)-len(c.buf), len(p))
		c.buf = append(c.buf, p[:n]...)
		p = p[n:]
		written += n
		if len(c.buf) == cap(c.buf) {
			c.flush()
		}
	}
	return written, c.err
}

// Close pads and writes the last block. It does not close the writer below.
func (c *cbcWriter) Close() error {
	if c.err != nil {
		return c.err
	}
	pad := aes.BlockSize - len(c.buf)%aes.BlockSize
	// The buffer is never full here, so that the padding has room in it.
	c.buf = append(c.buf, bytes.Repeat([]byte{byte(pad)}, pad)...)
	c.flush()
	if c.err != nil {
		return c.err
	}
	c.err = errClosed
	return nil
}

func (c *cbcWriter) flush() {
	c.mode.CryptBlocks(c.buf, c.buf)
	_, c.err = c.w.Write(c.buf)
	c.buf = c.buf[:0]
}

// cbcReader decrypts in CBC and takes the padding off the end.
type cbcReader struct {
	r     io.Reader
	mode  cipher.BlockMode
	buf   []byte
	plain []byte // the part of buf that is decrypted and not yet handed out
	held  []byte // the part of buf that is not decrypted yet: at least a byte of the last block seen
	err   error
}

func (c *cbcReader) Read(p []byte) (int, error) {
	for len(c.plain) == 0 && c.err == nil {
		c.fill()
	}
	n := copy(p, c.plain)
	c.plain = c.plain[n:]
	if n > 0 || len(p) == 0 {
		return n, nil
	}
	return 0, c.err
}

// fill reads and decrypts the next chunk, all but its last block.
func (c *cbcReader) fill() {
	kept := copy(c.buf, c.held)
	n, ended, err := readUntil(c.r, c.buf[kept:])
	n += kept
	if err != nil {
		c.err = err
		return
	}
	if ended {
		c.finish(c.buf[:n])
		return
	}
	whole := (n - 1) / aes.BlockSize * aes.BlockSize
	c.plain, c.held = c.buf[:whole], c.buf[whole:n]
	c.mode.CryptBlocks(c.plain, c.plain)
}

// finish hands out what stands before the last block in any case: a reader that
// wants to know what a file is, or was, gets as much of it as there is.
func (c *cbcReader) finish(last []byte) {
	before := max(len(last)-1, 0) / aes.BlockSize * aes.BlockSize
	if len(last) == 0 || len(last)%aes.BlockSize != 0 {
		c.mode.CryptBlocks(last[:before], last[:before])
		c.plain, c.err = last[:before], fmt.Errorf("%w: its length is not that of whole blocks", ErrCorrupt)
		return
	}
	c.mode.CryptBlocks(last, last)
	pad := int(last[len(last)-1])
	if pad == 0 || pad > aes.BlockSize || !bytes.Equal(last[len(last)-pad:], bytes.Repeat([]byte{byte(pad)}, pad)) {
		c.plain, c.err = last[:before], fmt.Errorf("%w: its padding is wrong", ErrCorrupt)
		return
	}
	c.plain, c.err = last[:len(last)-pad], io.EOF
}

// readUntil fills buf, or reads to the end of r, or to an error. Unlike io.ReadFull it tells an end of r from an
// io.ErrUnexpectedEOF that r itself returns, as a cut download does.
func readUntil(r io.Reader, buf []byte) (n int, ended bool, err error) {
	for idle := 0; n < len(buf); {
		m, err := r.Read(buf[n:])
		n += m
		if err == io.EOF {
			return n, n < len(buf), nil // if buf is full, the next call meets the end again
		}
		if err != nil {
			return n, false, err
		}
		if m > 0 {
			idle = 0
		} else if idle++; idle > 100 {
			return n, false, io.ErrNoProgress
		}
	}
	return n, false, nil
}
