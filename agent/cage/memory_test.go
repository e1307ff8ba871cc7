package cage

import (
	"fmt"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A program that is written to memory has no path, by which Landlock would keep it from being executed.
func init() {
	attacks["a file in memory"] = func([]string) error {
		fd, err := unix.MemfdCreate("x", 0)
		if err == nil {
			err = unix.Close(fd)
		}
		return err
	}
	attacks["execute a descriptor"] = func([]string) error {
		fd, err := unix.Open(os.Args[0], unix.O_RDONLY, 0)
		if err != nil {
			return err
		}
		return execute(fd)
	}
	attacks["execute from memory"] = func([]string) error {
		text, err := os.ReadFile(os.Args[0])
		if err != nil {
			return err
		}
		fd, err := unix.MemfdCreate("x", 0)
		for len(text) > 0 && err == nil {
			var n int
			n, err = unix.Write(fd, text)
			text = text[max(n, 0):]
		}
		if err != nil {
			return err
		}
		return execute(fd)
	}
}

// execute runs what is in a file that has no path, which exits 0 if it runs.
func execute(fd int) error {
	empty, name, variable := []byte{0}, []byte("x\x00"), []byte(attackVariable+"=nothing\x00")
	argv, environ := []*byte{&name[0], nil}, []*byte{&variable[0], nil}
	_, _, errno := unix.Syscall6(unix.SYS_EXECVEAT, uintptr(fd), uintptr(unsafe.Pointer(&empty[0])),
		uintptr(unsafe.Pointer(&argv[0])), uintptr(unsafe.Pointer(&environ[0])), unix.AT_EMPTY_PATH, 0)
	return fmt.Errorf("execveat: %w", errno)
}
