package seal

import (
	"crypto/aes"
	"crypto/cipher"
	"fmt"
	"io"
)

// OpenSSLAt reads a sealed file from any place on: in CBC a block is opened with the one before it. It is safe for
// concurrent use if the file is.
type OpenSSLAt struct {
	sealed io.ReaderAt
	block  cipher.Block
	iv     []byte
}

// OpenAt reads the header of a sealed file.
func (o *OpenSSL) OpenAt(sealed io.ReaderAt) (Ranges, error) {
	header := make([]byte, headerSize)
	if _, err := sealed.ReadAt(header, 0); err != nil && err != io.EOF {
		return nil, err
	}
	if string(header[:len(opensslMagic)]) != opensslMagic {
		return nil, fmt.Errorf("%w: it does not begin with %q and a salt", ErrCorrupt, opensslMagic)
	}
	block, iv, err := o.key(header[len(opensslMagic):])
	if err != nil {
		return nil, err
	}
	return &OpenSSLAt{sealed: sealed, block: block, iv: iv}, nil
}

// From returns a reader of length plain bytes from an offset on, which must be there: the padding
// at the end is not told from them.
func (a *OpenSSLAt) From(offset, length int64) io.Reader {
	return &cbcRange{
		OpenSSLAt: a, at: offset / aes.BlockSize * aes.BlockSize,
		skip: int(offset % aes.BlockSize), left: length,
	}
}

// cbcRange decrypts a range of a file.
type cbcRange struct {
	*OpenSSLAt
	at    int64 // of the next plain byte to be decrypted; a multiple of the block size
	skip  int   // plain bytes before the range
	left  int64 // plain bytes of the range that were not handed out
	buf   []byte
	plain []byte
	mode  cipher.BlockMode
}

// Read implements io.Reader.
func (c *cbcRange) Read(p []byte) (int, error) {
	if c.left == 0 {
		return 0, io.EOF
	}
	if len(c.plain) == 0 {
		if err := c.fill(); err != nil {
			return 0, err
		}
	}
	n := copy(p, c.plain)
	c.plain = c.plain[n:]
	c.left -= int64(n)
	return n, nil
}

func (c *cbcRange) fill() error {
	if c.mode == nil {
		iv := c.iv
		if c.at > 0 {
			iv = make([]byte, aes.BlockSize)
			if err := c.read(iv, c.at-aes.BlockSize); err != nil {
				return err
			}
		}
		c.mode = cipher.NewCBCDecrypter(c.block, iv)
		size := (c.left + int64(c.skip) + aes.BlockSize - 1) / aes.BlockSize * aes.BlockSize
		c.buf = make([]byte, min(size, chunkSize))
	}
	need := (c.left + int64(c.skip) + aes.BlockSize - 1) / aes.BlockSize * aes.BlockSize
	chunk := c.buf[:min(need, int64(len(c.buf)))]
	if err := c.read(chunk, c.at); err != nil {
		return err
	}
	c.mode.CryptBlocks(chunk, chunk)
	c.at += int64(len(chunk))
	c.plain = chunk[c.skip:]
	c.plain = c.plain[:min(int64(len(c.plain)), c.left)]
	c.skip = 0
	return nil
}

// read reads whole blocks from the place of a plain offset.
func (c *cbcRange) read(p []byte, offset int64) error {
	n, err := c.sealed.ReadAt(p, int64(headerSize)+offset)
	if n == len(p) {
		return nil
	}
	if err == io.EOF {
		err = fmt.Errorf("%w: it ends before the range that is read", ErrCorrupt)
	}
	return err
}
