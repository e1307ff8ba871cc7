package cage

import (
	"errors"
	"fmt"
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

// Numbers of Linux, the same on every architecture that there is a filter for.
const (
	setAttributes = 0x401C5820 // FS_IOC_FSSETXATTR
	closeOnExec   = 0x5451     // FIOCLEX
	whenCreated   = 0x4        // DN_CREATE
)

// ofWhatItReads are attacks on a file, or a folder, by a descriptor that only reads it. Not every
// file system knows each; then the answer is another than that it is not permitted.
var ofWhatItReads = map[string]func(fd int) error{
	"open what it reads":      func(fd int) error { return errors.Join(unix.Fchmod(fd, 0o777|unix.S_ISUID), isOpened(fd)) },
	"give away what it reads": func(fd int) error { return unix.Fchown(fd, os.Getuid(), os.Getgid()) },
	"mark what it reads":      func(fd int) error { return known(unix.Fsetxattr(fd, "user.mark", []byte("x"), 0)) },
	"unmark what it reads":    func(fd int) error { return known(unix.Fremovexattr(fd, "user.mark")) },
	"backdate what it reads": func(fd int) error {
		return errors.Join(unix.UtimesNanoAt(fd, "", make([]unix.Timespec, 2), unix.AT_EMPTY_PATH), isOfEpoch(fd))
	},
	"flags of what it reads":      func(fd int) error { return known(unix.IoctlSetPointerInt(fd, unix.FS_IOC_SETFLAGS, 0)) },
	"attributes of what it reads": func(fd int) error { return known(unix.IoctlSetInt(fd, setAttributes, 0)) },
	"a lease of what it reads": func(fd int) error {
		_, err := unix.FcntlInt(uintptr(fd), unix.F_SETLEASE, unix.F_RDLCK)
		return err
	},
}

func init() {
	for name, attack := range ofWhatItReads {
		attacks[name] = func(args []string) error {
			fd, err := unix.Open(args[0]+"/secret", unix.O_RDONLY, 0)
			if err != nil {
				return err
			}
			return attack(fd)
		}
	}
	attacks["a notice of a folder"] = func(args []string) error {
		fd, err := unix.Open(args[0], unix.O_RDONLY|unix.O_DIRECTORY, 0)
		if err == nil {
			_, err = unix.FcntlInt(uintptr(fd), unix.F_NOTIFY, whenCreated)
		}
		return err
	}
	// What every program asks of its descriptors, and one with a network of a socket.
	attacks["ask a descriptor"] = func(args []string) error {
		fd, err := unix.Open(args[1], unix.O_RDONLY|unix.O_DIRECTORY, 0)
		if err != nil {
			return err
		}
		if _, err := unix.IoctlGetTermios(fd, unix.TCGETS); !errors.Is(err, unix.ENOTTY) {
			return fmt.Errorf("is it a terminal: %w", err)
		}
		return unix.IoctlSetInt(fd, closeOnExec, 0)
	}
	attacks["ask a socket"] = func([]string) error {
		loopback, err := unix.NewIfreq("lo")
		if err != nil {
			return err
		}
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM, 0)
		if err == nil {
			err = unix.IoctlIfreq(fd, unix.SIOCGIFINDEX, loopback)
		}
		return err
	}
	notHeld["ask a descriptor"] = true
}

// known is nil if a call was not refused but found nothing to do.
func known(err error) error {
	if errors.Is(err, unix.EPERM) {
		return err
	}
	return nil
}

func isOpened(fd int) error {
	var stat unix.Stat_t
	err := unix.Fstat(fd, &stat)
	if err == nil && stat.Mode&0o777 != 0o777 {
		err = fmt.Errorf("its mode is %o", stat.Mode)
	}
	return err
}

func isOfEpoch(fd int) error {
	var stat unix.Stat_t
	err := unix.Fstat(fd, &stat)
	if err == nil && stat.Mtim.Sec != 0 {
		err = fmt.Errorf("it is of %d", stat.Mtim.Sec)
	}
	return err
}

// What may be read is not changed either, although its owner is the user that is held: the kernel lets an owner do by a
// descriptor what Landlock does not guard.
func TestACageChangesNothingOfWhatItReads(t *testing.T) {
	users := map[string]*User{"the same user": nil}
	if os.Getuid() == 0 {
		users["another user"] = &User{UID: 65534, GID: 65534}
	}
	names := []string{"a notice of a folder"}
	for name := range ofWhatItReads {
		names = append(names, name)
	}
	for _, attack := range names {
		for who, user := range users {
			for _, network := range []bool{false, true} {
				tg := newTarget(t)
				spec := tg.spec(t)
				spec.Read, spec.User, spec.Network = append(spec.Read, tg.dir), user, network
				if user != nil {
					if err := errors.Join(os.Chown(tg.dir, 65534, 65534), os.Chown(tg.dir+"/secret", 65534, 65534)); err != nil {
						t.Fatal(err)
					}
				}
				if code, said := try(t, "read a secret", &spec, tg.arguments()); code != 0 {
					t.Fatalf("%s can't read it, so it shows nothing: %d, %s", who, code, said)
				}
				if code, said := try(t, attack, &spec, tg.arguments()); code != repelled {
					t.Errorf("%s, by %s, with a network %t: it ends with %d: %s", attack, who, network, code, said)
				}
				if code, said := try(t, "ask a descriptor", &spec, tg.arguments()); code != 0 {
					t.Errorf("%s: %d, %s", who, code, said)
				}
				if code, said := try(t, "ask a socket", &spec, tg.arguments()); (code == 0) != network {
					t.Errorf("%s, with a network %t, asks a socket: %d, %s", who, network, code, said)
				}
			}
		}
	}
}
