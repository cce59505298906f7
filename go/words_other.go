//go:build !amd64

package ringlog

import (
	"encoding/binary"
	"sync/atomic"
)

// put is a Release, and more.
func put(word *uint64, value uint64) { atomic.StoreUint64(word, value) }

// fence is nothing here: atomic loads stay behind atomic stores.
func fence() {}

// out copies the words from a place on into bytes, which are whole words.
func (w words) out(to []byte, at uint64) {
	from := w[at/8:][:len(to)/8]
	for i := range from {
		binary.LittleEndian.PutUint64(to[8*i:], atomic.LoadUint64(&from[i]))
	}
}

// in copies bytes to a place, as words of which the last is filled up with zeros.
func (w words) in(at uint64, from []byte) {
	to := w[at/8:][:(len(from)+7)/8]
	for ; len(from) >= 8; to, from = to[1:], from[8:] {
		put(&to[0], binary.LittleEndian.Uint64(from))
	}
	putLast(to, from)
}
