//go:build !amd64

package ringlog

import (
	"sync/atomic"
	"unsafe"
)

// put is a Release, and more.
func put(word *uint64, value uint64) { atomic.StoreUint64(word, value) }

// fence is nothing here: atomic loads stay behind atomic stores.
func fence() {}

func copyOut(to []byte, from unsafe.Pointer) { loadEach(to, from) }

func copyIn(to unsafe.Pointer, from []byte) { putEach(to, from) }
