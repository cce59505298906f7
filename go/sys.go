//go:build linux && (amd64 || arm64)

package ringlog

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
	"unsafe"
)

// What package syscall has no names for.
const (
	ofdGetLock       = 36
	ofdSetLock       = 37
	futexWait        = 0
	futexWake        = 1
	futexWaitV       = 449
	futex32          = 2
	waitersMax       = 128
	tmpFile          = 0x400000 | syscall.O_DIRECTORY
	linkFollow       = 0x400
	clockMonotonic   = 1
	msSync           = 4
	workingDirectory = -100
)

// openFile opens a file as docs/format.md says, for reading or for both.
func openFile(path string, writable bool) (int, error) {
	mode := syscall.O_RDONLY
	if writable {
		mode = syscall.O_RDWR
	}
	return syscall.Open(path, mode|syscall.O_NOFOLLOW|syscall.O_NONBLOCK|syscall.O_CLOEXEC, 0)
}

// mapFile maps the first bytes of a file.
func mapFile(fd int, size uint64, writable, populate bool) (words, error) {
	protection, flags := syscall.PROT_READ, syscall.MAP_SHARED
	if writable {
		protection |= syscall.PROT_WRITE
	}
	if populate {
		flags |= syscall.MAP_POPULATE
	}
	memory, err := syscall.Mmap(fd, 0, int(size), protection, flags)
	if err != nil {
		return nil, err
	}
	return mapped(memory), nil
}

func unmap(w words) error { return syscall.Munmap(bytesOf(w)) }

// syncMapping returns when what is in the first bytes of a mapping is on the disk.
func syncMapping(w words, size uint64) error {
	_, _, errno := syscall.Syscall(syscall.SYS_MSYNC, uintptr(unsafe.Pointer(&w[0])), uintptr(size), msSync)
	if errno != 0 {
		return errno
	}
	return nil
}

// A claim is an exclusive lock on a word of a log's file, by a description of its own. The kernel frees it when the
// process ends, however it does.
type claim struct {
	fd int
	at uint64
}

func lockOf(kind int16, at uint64) *syscall.Flock_t {
	return &syscall.Flock_t{Type: kind, Start: int64(at), Len: 8}
}

var errTaken = errors.New("another has the claim")

// takeClaim takes the claim on the word at a place.
func takeClaim(fd int, at uint64) (claim, error) {
	err := syscall.FcntlFlock(uintptr(fd), ofdSetLock, lockOf(syscall.F_WRLCK, at))
	if err == syscall.EAGAIN || err == syscall.EACCES {
		err = errTaken
	}
	return claim{fd, at}, err
}

// free lets go of the claim, also if a child that was begun just now still shares the description.
func (c claim) free() {
	_ = syscall.FcntlFlock(uintptr(c.fd), ofdSetLock, lockOf(syscall.F_UNLCK, c.at))
	_ = syscall.Close(c.fd)
}

// isClaimed returns whether some description has the claim on the word at a place.
func isClaimed(fd int, at uint64) bool {
	lock := lockOf(syscall.F_RDLCK, at)
	err := syscall.FcntlFlock(uintptr(fd), ofdGetLock, lock)
	return err == nil && lock.Type != syscall.F_UNLCK
}

// sleepOn waits until somebody wakes those who sleep on the word, but at most so long, and not if it is another than
// seen.
func sleepOn(word *uint32, seen uint32, longest time.Duration) {
	spec := syscall.NsecToTimespec(int64(longest))
	_, _, _ = syscall.Syscall6(syscall.SYS_FUTEX, uintptr(unsafe.Pointer(word)), futexWait, uintptr(seen),
		uintptr(unsafe.Pointer(&spec)), 0, 0)
}

// wakeAll wakes all that sleep on the word.
func wakeAll(word *uint32) {
	const all = 1<<31 - 1
	_, _, _ = syscall.Syscall6(syscall.SYS_FUTEX, uintptr(unsafe.Pointer(word)), futexWake, all, 0, 0, 0)
}

// A waiter is a word that one of several sleeps on, as SYS_FUTEX_WAITV takes it.
type waiter struct {
	seen  uint64
	word  uintptr
	flags uint32
	_     uint32
}

// sleepOnAny is sleepOn of several words, and returns false where the kernel cannot do that.
func sleepOnAny(words []*uint32, seen []uint32, longest time.Duration) bool {
	if len(words) > waitersMax {
		return false
	}
	waiters := make([]waiter, len(words))
	for i, word := range words {
		waiters[i] = waiter{seen: uint64(seen[i]), word: uintptr(unsafe.Pointer(word)), flags: futex32}
	}
	spec := syscall.NsecToTimespec(int64(monotonicNS() + uint64(longest)))
	_, _, errno := syscall.Syscall6(futexWaitV, uintptr(unsafe.Pointer(&waiters[0])), uintptr(len(waiters)), 0,
		uintptr(unsafe.Pointer(&spec)), clockMonotonic, 0)
	runtime.KeepAlive(words)
	return errno == 0 || errno == syscall.EAGAIN || errno == syscall.ETIMEDOUT || errno == syscall.EINTR
}

// wallNS is the wall clock, which is never 0.
func wallNS() uint64 { return uint64(max(time.Now().UnixNano(), 1)) }

// began is a moment by both the clock of package time and that of calls, which are the same one.
var began = sync.OnceValues(func() (time.Time, uint64) {
	var spec syscall.Timespec
	_, _, _ = syscall.Syscall(syscall.SYS_CLOCK_GETTIME, clockMonotonic, uintptr(unsafe.Pointer(&spec)), 0)
	return time.Now(), uint64(spec.Nano())
})

// monotonicNS is CLOCK_MONOTONIC, by which calls have their deadlines.
func monotonicNS() uint64 {
	moment, ns := began()
	return ns + uint64(time.Since(moment))
}

// bootID is which boot of the machine this is; zero where the system does not say.
var bootID = sync.OnceValue(func() [2]uint64 {
	text, _ := os.ReadFile("/proc/sys/kernel/random/boot_id")
	id, err := hex.DecodeString(strings.ReplaceAll(strings.TrimSpace(string(text)), "-", ""))
	if err != nil || len(id) != 16 {
		return [2]uint64{}
	}
	return [2]uint64{binary.BigEndian.Uint64(id), binary.BigEndian.Uint64(id[8:])}
})

// pidNamespace is the inode of this process's pid namespace; 0 where the system does not say.
var pidNamespace = sync.OnceValue(func() uint64 {
	var stat syscall.Stat_t
	if syscall.Stat("/proc/self/ns/pid", &stat) != nil {
		return 0
	}
	return stat.Ino
})

// makeFile makes a file of so many bytes: fill stores what is in it, and then it gets its name, which must be free.
func makeFile(path string, size uint64, mode os.FileMode, fill func(words)) error {
	directory := filepath.Dir(path)
	file, err := os.OpenFile(directory, os.O_RDWR|tmpFile, 0o600)
	name := ""
	if errors.Is(err, syscall.EOPNOTSUPP) || errors.Is(err, syscall.EISDIR) {
		if file, err = os.CreateTemp(directory, ".ringlog-*"); err == nil {
			name = file.Name()
			defer os.Remove(name)
		}
	}
	if err != nil {
		return err
	}
	defer file.Close()
	if err := file.Chmod(mode); err != nil {
		return err
	}
	if err := syscall.Fallocate(int(file.Fd()), 0, 0, int64(size)); err != nil {
		return err
	}
	memory, err := mapFile(int(file.Fd()), size, true, false)
	if err != nil {
		return err
	}
	fill(memory)
	if err := errors.Join(unmap(memory), file.Sync()); err != nil {
		return err
	}
	if name == "" {
		err = linkFile(int(file.Fd()), path)
	} else {
		err = os.Link(name, path)
	}
	if err != nil {
		return err
	}
	folder, err := os.Open(directory)
	if err != nil {
		return err
	}
	defer folder.Close()
	return folder.Sync()
}

// linkFile gives a file without a name its name.
func linkFile(fd int, path string) error {
	from, err := syscall.BytePtrFromString("/proc/self/fd/" + strconv.Itoa(fd))
	if err != nil {
		return err
	}
	to, err := syscall.BytePtrFromString(path)
	if err != nil {
		return err
	}
	here := workingDirectory
	_, _, errno := syscall.Syscall6(syscall.SYS_LINKAT, uintptr(here), uintptr(unsafe.Pointer(from)),
		uintptr(here), uintptr(unsafe.Pointer(to)), linkFollow, 0)
	if errno != 0 {
		return errno
	}
	return nil
}
