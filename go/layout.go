package ringlog

import "math/bits"

// Where the words of the header are, and how large things can be. docs/format.md says what each means.
const (
	headerSize = 0x2000

	atWritePtr  = 0x000
	atReadPtrs  = 0x040
	atMagic     = 0x080
	atVersion   = 0x088
	atCapacity  = 0x090
	atSlotSize  = 0x098
	atEntrySize = 0x0A0
	atLogID     = 0x0A8
	atCreated   = 0x0B8
	atSchemaLen = 0x0C0
	atArena     = 0x0C8
	atInline    = 0x0D0
	atGates     = 0x0D8
	atAbsent    = 0x0E0
	atRole      = 0x0E8
	atMembers   = 0x0F0
	atBase      = 0x0F8
	atSource    = 0x100

	atEpoch        = 0x180
	atState        = 0x188
	atAttached     = 0x190
	atPid          = 0x198
	atBoot         = 0x1A0
	atHeartbeat    = 0x1B0
	atPidNS        = 0x1B8
	atSynced       = 0x1C0
	atWaitingFor   = 0x1C8
	atWaitingSince = 0x1D0

	atSleepers = 0x200
	atRoom     = 0x280
	atHorizon  = 0x300
	atReaders  = 0x400
	atSchema   = 0xC00
	atNotes    = 0x1600
)

// A reader's line, from its beginning on.
const (
	readerSize = 0x100

	inPid          = 0x00
	inAttached     = 0x08
	inCommit       = 0x10
	inState        = 0x18
	inPidNS        = 0x20
	inBegan        = 0x28
	inMissed       = 0x30
	inWaived       = 0x38
	inFile         = 0x40
	inCheckpoints  = 0x80
	inTaken        = 0xC0
	inAnswered     = 0xC8
	inServed       = 0xD0
	inExpired      = 0xD8
	inInterrupted  = 0xE0
	inPeakPosition = 0xE8
	inPeakLost     = 0xF0

	checkpointSize = 0x20
	inLost         = 0x08
	inLaps         = 0x10
	inMark         = 0x18
)

// A reader's notes, from their beginning on.
const (
	notesSize = 0x140

	inLostFrom = 0x00
	inLostTo   = 0x08
	inLostNS   = 0x10
	inPathLen  = 0x40
)

const (
	magic       = 0x31474F4C474E4952 // the bytes RINGLOG1
	version     = 3
	writing     = 1 << 63 // of a stamp: the slot is being overwritten
	hole        = 1 << 62 // of a stamp: the position was published without an entry
	inArena     = 1 << 63 // of a head: the body is in the arena
	noPosition  = 1 << 62 // positions are below it
	nobody      = 1<<64 - 1
	entryMax    = 1 << 20
	schemaMax   = 2560
	arenaMin    = 1 << 12
	arenaMax    = 1 << 32
	membersMax  = 1024
	pageSize    = 4096
	bodyAligned = 64

	// Readers is how many durable readers a log has: they are 0 to 7.
	Readers = 8
)

// What a log is for.
const (
	rolePlain = iota
	roleService
	roleLane
	roleTopic
)

// Geometry is the sizes of a log.
type Geometry struct {
	Capacity uint64 // slots
	SlotSize uint64 // bytes from one slot to the next
	// EntrySize is the bytes of a record; of one with a body, its columns, its head and what the slot holds of it.
	EntrySize uint64
	Inline    uint64 // bytes of a body that a slot holds itself; 0: no record has a body
	Arena     uint64 // bytes of the arena, for longer bodies; 0: no record has a body
}

// Columns returns the bytes of a record that are before its body.
func (g Geometry) Columns() uint64 {
	if g.Arena == 0 {
		return g.EntrySize
	}
	return g.EntrySize - g.Inline - 8
}

// BodyMax returns the length of the longest body.
func (g Geometry) BodyMax() uint64 { return g.Arena / 2 }

func (g Geometry) arenaAt() uint64 { return roundUp(headerSize+g.Capacity*g.SlotSize, pageSize) }

func (g Geometry) fileSize() uint64 {
	if g.Arena == 0 {
		return headerSize + g.Capacity*g.SlotSize
	}
	return g.arenaAt() + g.Arena
}

// slotSize returns the bytes of a slot for such records.
func slotSize(entrySize uint64) uint64 {
	used := 8 + roundUp(entrySize, 8)
	if used <= pageSize {
		return 1 << bits.Len64(used-1)
	}
	return roundUp(used, pageSize)
}

// check returns what is wrong with the sizes, or nothing.
func (g Geometry) check() string {
	switch {
	case g.Capacity < 2 || !isPowerOfTwo(g.Capacity):
		return "the capacity is no power of two from 2 on"
	case g.EntrySize == 0 || g.EntrySize > entryMax:
		return "a record has from 1 to 1,048,576 bytes"
	case g.SlotSize != slotSize(g.EntrySize):
		return "the size of a slot does not fit its record"
	case g.Capacity > (1<<62)/g.SlotSize:
		return "it has too many slots"
	case g.Arena == 0 && g.Inline == 0:
		return ""
	case g.Arena < arenaMin || g.Arena > arenaMax || !isPowerOfTwo(g.Arena):
		return "the arena is no power of two from 4 KiB to 4 GiB"
	case g.Inline < 8 || g.Inline%8 != 0 || g.EntrySize%8 != 0 || g.EntrySize < g.Inline+8:
		return "a slot's part of a body does not fit its record"
	}
	return ""
}

func roundUp(n, to uint64) uint64 { return (n + to - 1) / to * to }

func isPowerOfTwo(n uint64) bool { return n != 0 && n&(n-1) == 0 }
