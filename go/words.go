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

// out copies the words from a place on into bytes, which are whole words.
func (w words) out(to []byte, at uint64) {
	from := w[at/8:][:len(to)/8]
	copyOut(to, unsafe.Pointer(unsafe.SliceData(from)))
}

// in copies bytes to a place, as words of which the last is filled up with zeros.
func (w words) in(at uint64, from []byte) {
	to := w[at/8:][:(len(from)+7)/8]
	copyIn(unsafe.Pointer(unsafe.SliceData(to)), from)
}

// loadEach copies words, each by one load.
func loadEach(to []byte, from unsafe.Pointer) {
	into := unsafe.Pointer(unsafe.SliceData(to))
	for at := 0; at < len(to); at += 8 {
		*(*uint64)(unsafe.Add(into, at)) = atomic.LoadUint64((*uint64)(unsafe.Add(from, at)))
	}
}

// putEach copies bytes, each word by one store; the last one is filled up with zeros.
func putEach(to unsafe.Pointer, from []byte) {
	all, whole := unsafe.Pointer(unsafe.SliceData(from)), len(from)&^7
	for at := 0; at < whole; at += 8 {
		// x86-64 and AArch64 load words of Go's own memory wherever they lie.
		put((*uint64)(unsafe.Add(to, at)), *(*uint64)(unsafe.Add(all, at)))
	}
	if whole < len(from) {
		var last [8]byte
		copy(last[:], from[whole:])
		put((*uint64)(unsafe.Add(to, whole)), binary.LittleEndian.Uint64(last[:]))
	}
}

// slots is the memory of all slots, for what is done with each entry.
type slots struct {
	base         unsafe.Pointer
	mask, stride uint64 // how many there are, less one, and the bytes from one to the next
}

func (s *segment) allSlots() slots {
	return slots{unsafe.Pointer(&s.words[headerSize/8]), s.Capacity - 1, s.SlotSize}
}

func (s *slots) at(position uint64) unsafe.Pointer {
	return unsafe.Add(s.base, (position&s.mask)*s.stride)
}

// fill stores an entry, which has at most as many bytes as the log says: the stores 1 to 4 of an append.
func (s *slots) fill(position uint64, record []byte) {
	slot := s.at(position)
	put((*uint64)(slot), writing|position)
	if len(record) <= few {
		putEach(unsafe.Add(slot, 8), record)
	} else {
		copyIn(unsafe.Add(slot, 8), record)
	}
	put((*uint64)(slot), position+1)
}

// read takes the words of an entry that is known to be published, and returns its stamp then: if that is position + 1,
// they are the entry's.
func (s *slots) read(position uint64, to []byte) uint64 {
	slot := s.at(position)
	if len(to) <= few {
		loadEach(to, unsafe.Add(slot, 8))
	} else {
		copyOut(to, unsafe.Add(slot, 8))
	}
	return atomic.LoadUint64((*uint64)(slot))
}

// look returns a stamp.
func (s *slots) look(position uint64) uint64 { return atomic.LoadUint64((*uint64)(s.at(position))) }

// few is so little that it is copied word by word: a wide load of words that were just stored has to wait for them.
const few = 64

// mapped returns what the kernel mapped as words.
func mapped(memory []byte) words {
	// A mapping begins at a page, so its words are aligned. It is no memory of Go's: nothing moves it.
	return unsafe.Slice((*uint64)(unsafe.Pointer(unsafe.SliceData(memory))), len(memory)/8)
}

// bytesOf returns the bytes of words of Go's own memory, which are little-endian here.
func bytesOf(of []uint64) []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(of))), len(of)*8)
}
