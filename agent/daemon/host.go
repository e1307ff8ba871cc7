package daemon

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"os"
)

// hostIdentity names this machine in a way that a copy of the state folder does not take along: the
// host's name, and the start of a hash of its machine id, which itself is not to be told
// (machine-id(5)). Without one, the id of the boot is used.
func hostIdentity() string {
	name, _ := os.Hostname() // only a help to its reader
	id := cmp.Or(firstLine("/etc/machine-id"), firstLine("/proc/sys/kernel/random/boot_id"))
	if id == "" {
		return name
	}
	sum := sha256.Sum256([]byte("pgharbor-agent " + id))
	return name + "/" + hex.EncodeToString(sum[:6])
}

// firstLine is empty for a file that can't be read.
func firstLine(path string) string {
	content, _ := os.ReadFile(path)
	line, _, _ := bytes.Cut(content, []byte{'\n'})
	return string(bytes.TrimSpace(line))
}
