package ringlog

import (
	"encoding/binary"
	"sync/atomic"
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

// out copies the words from a place on into bytes, which are whole words.
func (w words) out(to []byte, at uint64) {
	if len(to) > 8*8 {
		from := bytesOf(w[at/8:])
		for len(to) > chunk {
			copy(to[:chunk], from)
			to, from = to[chunk:], from[chunk:]
		}
		copy(to, from)
		return
	}
	from := w[at/8:][:len(to)/8]
	for i := range from {
		binary.LittleEndian.PutUint64(to[8*i:], atomic.LoadUint64(&from[i]))
	}
}

// in copies bytes to a place, as words of which the last is filled up with zeros.
func (w words) in(at uint64, from []byte) {
	to := w[at/8:][:(len(from)+7)/8]
	for len(from) > 8*8 {
		n := copy(bytesOf(to), from[:min(len(from)/8*8, chunk)])
		to, from = to[n/8:], from[n:]
	}
	for ; len(from) >= 8; to, from = to[1:], from[8:] {
		to[0] = binary.LittleEndian.Uint64(from)
	}
	putLast(to, from)
}
