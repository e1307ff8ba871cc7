package main

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// harden: what the control plane writes is its own alone, no matter who starts it, and no core
// holds the key of the CA. It starts no program, and no passphrase gets to it.
func harden() error {
	unix.Umask(0o077)
	if err := unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{}); err != nil {
		return fmt.Errorf("no cores: %w", err)
	}
	return nil
}
