package ringlog

import (
	"encoding/binary"
	"sync/atomic"
	"unsafe"
)

// words is mapped memory. Each word is loaded and stored whole, by its methods and nowhere else.
//
// Go's atomic loads are Acquire or stronger: so a look at a stamp stays before the copy behind it, and the second look
// stays behind the copy. Stores are Release: see put.
type words []uint64

// load is any load that docs/format.md asks for: Relaxed, or Acquire.
func (w words) load(at uint64) uint64 { return atomic.LoadUint64(&w[at/8]) }

// exchange stores a word and is a fence (SeqCst).
func (w words) exchange(at, value uint64) { atomic.StoreUint64(&w[at/8], value) }

// or sets bits of a word and is a fence (SeqCst). It returns the word as it was.
func (w words) or(at, bits uint64) uint64 { return atomic.OrUint64(&w[at/8], bits) }

// swap is a compare-exchange.
func (w words) swap(at, old, new uint64) bool { return atomic.CompareAndSwapUint64(&w[at/8], old, new) }

// store is any store that docs/format.md asks for: Relaxed, or Release.
func (w words) store(at, value uint64) { put(&w[at/8], value) }

// half returns the first four bytes of a word, which are a futex.
func (w words) half(at uint64) *uint32 { return (*uint32)(unsafe.Pointer(&w[at/8])) }

// futexOf returns a futex of this process alone.
func futexOf(word *atomic.Uint32) *uint32 { return (*uint32)(unsafe.Pointer(word)) }

// putLast stores what is less than a word, if it is anything.
func putLast(to words, from []byte) {
	if len(from) > 0 {
		var last [8]byte
		copy(last[:], from)
		put(&to[0], binary.LittleEndian.Uint64(last[:]))
	}
}

// mapped returns what the kernel mapped as words.
func mapped(memory []byte) words {
	// A mapping begins at a page, so its words are aligned. It is no memory of Go's: nothing moves it.
	return unsafe.Slice((*uint64)(unsafe.Pointer(unsafe.SliceData(memory))), len(memory)/8)
}

// bytesOf returns the bytes of words of Go's own memory, which are little-endian here.
func bytesOf(of []uint64) []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(of))), len(of)*8)
}
