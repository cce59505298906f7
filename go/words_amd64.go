package ringlog

import "sync/atomic"

// An x86-64 makes stores in the order of the program, and the compiler keeps the order of stores to memory and of
// atomic operations: a plain store of an aligned word is a Release there. An atomic one would be an exchange, which
// takes the time of a whole append.

// store is any store that docs/format.md asks for: Relaxed, or Release.
func (w words) store(at, value uint64) { w[at/8] = value }

// copyIn copies words to a place, each by one store.
func (w words) copyIn(at uint64, from []uint64) {
	to := w[at/8:][:len(from)]
	for i, word := range from {
		to[i] = word
	}
}

var fenced atomic.Uint32

// fence is a fence (SeqCst).
func fence() { fenced.Add(1) }
