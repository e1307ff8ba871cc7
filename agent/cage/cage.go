// Package cage starts programs that can reach only what they are given: the throwaway servers of
// test restores, in which whatever is in a database runs with all rights, and the tools that read
// what others have written.
//
// Three of the kernel's means hold a program, and all that it starts, for as long as they live:
// Landlock (files, signals, abstract sockets), a seccomp filter (the network, sockets of others,
// and whatever else a file's path does not guard), and no_new_privs (nothing that it executes can
// lift the two). A namespace keeps shared memory apart, if one is available. If this process is
// root, another user's id comes on top.
//
// Go can run nothing between fork and exec. So the program that links this package starts itself
// again: as argv[0] says that it is to be a cage, it sandboxes itself before main, and becomes the
// program to be sandboxed.
package cage

import (
	"debug/elf"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
)

// ErrNone reports that this host can't hold a program in a cage.
var ErrNone = errors.New("no cage can be had")

// Spec says what a program may reach; everything else is closed to it, to what it starts, and
// forever.
type Spec struct {
	// Read are the files, and the folders with all that is in them, that may be read. Those that do
	// not exist are left out.
	Read []string `json:"read,omitempty"`
	// ReadAll allows to read everything that is there when the program starts, except for what is
	// in Hide.
	ReadAll bool     `json:"read_all,omitempty"`
	Hide    []string `json:"hide,omitempty"`
	// Execute are likewise those that may be read and executed; the loader of a dynamic program is one.
	Execute []string `json:"execute,omitempty"`
	// Write are the folders in which anything may be made, changed and removed, and the files and devices that may be
	// written to. Each must exist.
	Write []string `json:"write,omitempty"`
	// Network leaves sockets alone, and the kernel's keys, which some authenticate with. Without
	// it, the program can listen on a socket in a folder of Write, and that is all.
	Network bool `json:"network,omitempty"`
	// SharedMemory leaves the program System V shared memory, which a server needs a little of.
	// With OwnIPC it is in a namespace of its own, in which Isolate has the program started; else
	// it is all that its user has.
	SharedMemory bool `json:"shared_memory,omitempty"`
	OwnIPC       bool `json:"own_ipc,omitempty"`
	// User, if it is not nil, is whom the program runs as; only root can say so.
	User *User `json:"user,omitempty"`
	// Processes bounds how many processes the user may have at a time, those outside of the cage included; 0 does not.
	Processes uint64 `json:"processes,omitempty"`
	// Memory bounds what each process may have of its own, in bytes; 0 does not.
	Memory uint64 `json:"memory,omitempty"`
	// DeathSignal is what the program gets from the kernel when the thread dies that started it; 0 is nothing.
	DeathSignal syscall.Signal `json:"death_signal,omitempty"`
	// Files are how many open files, from descriptor 3 on, the program keeps. All others are closed.
	Files int `json:"files,omitempty"`

	abi int // no newer Landlock than this, for tests; 0 takes what there is
}

// User is one of the operating system's.
type User struct {
	UID uint32 `json:"uid"`
	GID uint32 `json:"gid"`
}

// order is what a program that becomes a cage is told.
type order struct {
	Spec
	Parent int `json:"parent"`
	ABI    int `json:"abi,omitempty"`
	// NotIPC is the namespace that the program may not be in, with OwnIPC.
	NotIPC string `json:"not_ipc,omitempty"`
}

// name is the argv[0] by which a program is told to be a cage.
const name = "pgharbor-cage"

// Failed is the exit status of a cage that could not be had after all; its standard error says why. The program was not
// started then.
const Failed = 125

// Program is this program, which must be started with the arguments of Arguments.
const Program = "/proc/self/exe"

// Arguments are those of Program, argv[0] included, for a program to be started in a cage: its
// path, and its own arguments. Its environment, working folder and standard streams are those that
// Program is started with; Isolate says in which namespaces.
func (s Spec) Arguments(path string, args ...string) ([]string, error) {
	o := order{Spec: s, Parent: os.Getpid(), ABI: s.abi}
	var err error
	if s.OwnIPC {
		if o.NotIPC, err = ipcNamespace(); err != nil {
			return nil, fmt.Errorf("what a cage is to hold: %w", err)
		}
	}
	text, err := json.Marshal(o)
	if err != nil {
		return nil, fmt.Errorf("what a cage is to hold: %w", err)
	}
	return append([]string{name, string(text), path}, args...), nil
}

// Executables are what must be executable for a program to run: itself, and the loader of a dynamic
// one. Nil for what is no program of this host's, such as a script.
func Executables(path string) []string {
	program, err := elf.Open(path)
	if err != nil {
		return nil
	}
	defer program.Close()
	for _, segment := range program.Progs {
		if segment.Type != elf.PT_INTERP || segment.Filesz > maxInterpreter {
			continue
		}
		loader := make([]byte, segment.Filesz)
		if _, err := segment.ReadAt(loader, 0); err != nil {
			return nil
		}
		return []string{path, strings.TrimRight(string(loader), "\x00")}
	}
	return []string{path}
}

// maxInterpreter is more than a path can have.
const maxInterpreter = 4096
