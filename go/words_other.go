//go:build !amd64

package ringlog

import "sync/atomic"

// store is any store that docs/format.md asks for: Relaxed, or Release.
func (w words) store(at, value uint64) { atomic.StoreUint64(&w[at/8], value) }

// copyIn copies words to a place, each by one store.
func (w words) copyIn(at uint64, from []uint64) {
	to := w[at/8:][:len(from)]
	for i, word := range from {
		atomic.StoreUint64(&to[i], word)
	}
}

// fence is nothing here: atomic loads stay behind atomic stores.
func fence() {}
