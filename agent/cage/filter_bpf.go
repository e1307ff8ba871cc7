package cage

import "golang.org/x/sys/unix"

// If struct seccomp_data has what a filter looks at (seccomp(2)); the architectures that there are
// filters for have the lower half of an argument first.
const (
	atCall = 0
	atArch = 4
	atArgs = 16
)

func low(arg uint32) uint32  { return atArgs + 8*arg }
func high(arg uint32) uint32 { return low(arg) + 4 }

func load(at uint32) unix.SockFilter {
	return unix.SockFilter{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: at}
}

// jump goes on as many instructions further as it says if the comparison holds, or if it does not.
func jump(comparison uint16, value uint32, holds, not uint8) unix.SockFilter {
	return unix.SockFilter{Code: unix.BPF_JMP | comparison | unix.BPF_K, K: value, Jt: holds, Jf: not}
}

func give(a answer) unix.SockFilter {
	return unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: uint32(a)}
}

// assemble makes the filter: calls of another architecture end the process, what no rule mentions
// is done.
func assemble(s Spec, abi int) []unix.SockFilter {
	program := []unix.SockFilter{
		load(atArch), jump(unix.BPF_JEQ, architecture, 1, 0), give(answer(unix.SECCOMP_RET_KILL_PROCESS)),
		load(atCall), jump(unix.BPF_JGT, newestCall, 0, 1), give(unknown),
	}
	for _, r := range rules(s, abi) {
		block := append(r.condition(), give(r.answer))
		program = append(program, load(atCall), jump(unix.BPF_JEQ, r.call, 0, uint8(len(block))))
		program = append(program, block...)
	}
	return append(program, give(answer(unix.SECCOMP_RET_ALLOW)))
}

// condition jumps over the one instruction that follows it unless the rule applies.
func (r rule) condition() []unix.SockFilter {
	switch r.test {
	case differs:
		return []unix.SockFilter{load(low(r.arg)), jump(unix.BPF_JEQ, r.value, 1, 0)}
	case equals:
		return []unix.SockFilter{load(low(r.arg)), jump(unix.BPF_JEQ, r.value, 0, 1)}
	case has:
		return []unix.SockFilter{load(low(r.arg)), jump(unix.BPF_JSET, r.value, 0, 1)}
	case isOfAnother:
		return []unix.SockFilter{
			load(low(r.arg)), {Code: unix.BPF_ALU | unix.BPF_AND | unix.BPF_K, K: kindOfIoctl},
			jump(unix.BPF_JEQ, r.value, 2, 0), jump(unix.BPF_JEQ, r.second, 1, 0),
		}
	case isPointer:
		return []unix.SockFilter{
			load(low(r.arg)), jump(unix.BPF_JEQ, 0, 0, 2),
			load(high(r.arg)), jump(unix.BPF_JEQ, 0, 1, 0),
		}
	}
	return nil
}
