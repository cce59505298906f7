package ringlog

import (
	"sync/atomic"
	"unsafe"
)

// An x86-64 makes loads in the order of the program, and stores too, and the compiler keeps the order of what goes to
// memory and of atomic operations. So a plain store is a Release here, where an atomic one would be an exchange, which
// takes as long as the whole append; and what is long may be copied by more than a word at once.

// put is a Release.
func put(word *uint64, value uint64) { *word = value }

var fenced atomic.Uint32

// fence is a fence (SeqCst).
func fence() { fenced.Add(1) }

// chunk is how much is copied at once. For more, package runtime takes instructions that keep no order.
const chunk = 1024

func copyOut(to []byte, from unsafe.Pointer) {
	all := unsafe.Slice((*byte)(from), len(to))
	for len(to) > 0 {
		n := copy(to[:min(len(to), chunk)], all)
		to, all = to[n:], all[n:]
	}
}

func copyIn(to unsafe.Pointer, from []byte) {
	whole := len(from) &^ 7
	all := unsafe.Slice((*byte)(to), whole)
	for rest := from; len(all) > 0; {
		n := copy(all[:min(len(all), chunk)], rest)
		all, rest = all[n:], rest[n:]
	}
	if whole < len(from) {
		putEach(unsafe.Add(to, whole), from[whole:])
	}
}
