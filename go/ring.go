package ringlog

import "time"

// What a stamp says of the slot of a position.
type look int

const (
	empty   look = iota // nothing is there yet
	here                // the entry is there
	skipped             // it was published without an entry
	passed              // a later one has its place
	damaged             // no writer stored this
)

// slotAt returns where the slot of a position is: its stamp, and behind it the record.
func (s *segment) slotAt(position uint64) uint64 {
	return headerSize + (position&(s.Capacity-1))*s.SlotSize
}

func (s *segment) stamp(position uint64) uint64 { return s.load(s.slotAt(position)) }

// holds returns whether the slot of a position says that it is published.
func (s *segment) holds(position uint64) bool {
	stamp := s.stamp(position)
	return stamp == position+1 || stamp == hole|position
}

// holder returns the position that a stamp other than 0 is of, the end of the log by this stamp, and whether the stamp is
// good in this slot.
func (s *segment) holder(stamp, slot uint64) (position, end uint64, good bool) {
	position = stamp & (hole - 1)
	switch stamp &^ (hole - 1) {
	case 0:
		position--
		end = position + 1
	case hole:
		end = position + 1
	case writing:
		end = position
	default:
		return 0, 0, false
	}
	return position, end, position&(s.Capacity-1) == slot
}

// says returns what a stamp says of the slot of a position.
func (s *segment) says(stamp, position uint64) look {
	switch stamp {
	case position + 1:
		return here
	case hole | position:
		return skipped
	case 0:
		return empty
	}
	holder, _, good := s.holder(stamp, position&(s.Capacity-1))
	switch {
	case !good:
		return damaged
	case holder > position:
		return passed
	default:
		return empty
	}
}

func (s *segment) isOfAnotherBoot() bool {
	now := bootID()
	return s.load(atBoot) != now[0] || s.load(atBoot+8) != now[1]
}

// end returns the position after the newest published entry.
func (s *segment) end() uint64 {
	if s.isOfAnotherBoot() {
		return s.endOfAnotherBoot()
	}
	return s.endBySlots()
}

// endBySlots returns the end without regard to the boot.
func (s *segment) endBySlots() uint64 {
	for range 16 {
		if end, found := s.endByPointer(); found {
			return max(end, s.base)
		}
	}
	return max(s.scanForEnd(), s.base)
}

// endByPointer takes the write pointer for a hint, and goes by the slots around it.
func (s *segment) endByPointer() (uint64, bool) {
	e := s.load(atWritePtr)
	if e >= noPosition {
		return 0, false
	}
	if s.stamp(e) == writing|e {
		return e, true
	}
	if e > 0 {
		isBorneOut := false
		switch s.says(s.stamp(e-1), e-1) {
		case here, skipped:
			isBorneOut = true
		case passed, damaged:
			isBorneOut = e >= 2 && s.holds(e-2)
		}
		if !isBorneOut && !s.holds(e) {
			return 0, false
		}
	}
	for rolled := uint64(0); rolled < s.Capacity && s.holds(e); rolled++ {
		// If the pointer moves, a writer is at work, and to look at slot after slot would not catch up with it.
		if moved := s.load(atWritePtr); moved > e && moved < noPosition && s.holds(moved-1) {
			return moved, true
		}
		e++
	}
	switch s.says(s.stamp(e), e) {
	case empty:
		return e, true
	case passed, damaged:
		return e, e > 0 && s.holds(e-1)
	}
	return 0, false
}

// scanForEnd looks at every slot.
func (s *segment) scanForEnd() uint64 {
	var end, greatest uint64
	sure, used := false, false
	for slot := range s.Capacity {
		stamp := s.stamp(slot)
		used = used || stamp != 0
		position, after, good := s.holder(stamp, slot)
		if stamp == 0 || !good {
			continue
		}
		greatest = max(greatest, after)
		if position < 2 || s.holds(position-1) || s.holds(position-2) {
			end, sure = max(end, after), true
		}
	}
	pointer := s.load(atWritePtr)
	switch {
	case sure:
		return end
	case !used:
		return 0
	case pointer < noPosition:
		return pointer
	}
	return greatest
}

// endOfAnotherBoot goes by whatever was written back.
func (s *segment) endOfAnotherBoot() uint64 {
	end := s.base
	take := func(position uint64) {
		if position < noPosition {
			end = max(end, position)
		}
	}
	for slot := range s.Capacity {
		stamp := s.stamp(slot)
		if _, after, good := s.holder(stamp, slot); good && stamp != 0 {
			take(after)
		}
	}
	take(s.load(atWritePtr))
	for id := range uint64(Readers) {
		take(s.load(atReadPtrs + 8*id))
		for checkpoint := range uint64(2) {
			take(s.load(atReaders + id*readerSize + inCheckpoints + checkpoint*checkpointSize))
		}
	}
	return end
}

// oldest returns the oldest position that a log with this end can hold.
func (s *segment) oldest(end uint64) uint64 {
	oldest := uint64(0)
	if end > s.Capacity {
		oldest = end - s.Capacity
	}
	if s.stamp(oldest) == writing|(oldest+s.Capacity) {
		oldest++
	}
	return max(oldest, s.base)
}

// whole returns the oldest position from which on no body is overwritten.
func (s *segment) whole(end uint64) uint64 {
	oldest := s.oldest(end)
	if s.Arena == 0 {
		return oldest
	}
	horizon := s.load(atHorizon)
	for p := end; p > oldest; p-- {
		if slot := s.slotAt(p - 1); s.load(slot) == p {
			if place, _, is := s.bodyInArena(slot); is && place < horizon {
				return p
			}
		}
	}
	return oldest
}

// An Entry is what was appended at a position. Its bytes are the reader's: they last until its next poll.
type Entry struct {
	Position uint64
	Record   []byte // the columns, as the schema says
	Body     []byte // what comes behind them; empty where the schema has no body
}

// cursor is a place in a log that moves forward: what readers and observers have in common.
type cursor struct {
	*segment
	position uint64
	// published is an end that was determined: all below has been published, whatever the slots say.
	published uint64
	// fresh is set until something was taken, which is where it began: what is overwritten before is not lost.
	fresh bool
	began uint64
	// step is how far behind the oldest entry the last lap went on, and lapped where that was.
	step, lapped uint64
	// isOfNow is set when the boot was seen to be that of now.
	isOfNow bool
	// arenaEnd is where the last body that was taken from the arena ends.
	arenaEnd uint64
	slots    slots
	record   []uint64
	buffer   []byte // the same, as bytes
	columns  []byte // the first of them
	body     []uint64
}

// cursor returns a place in the log, which is still to be put somewhere.
func (s *segment) cursor() cursor {
	record := make([]uint64, roundUp(s.EntrySize, 8)/8)
	buffer := bytesOf(record)
	return cursor{segment: s, slots: s.allSlots(), record: record, buffer: buffer, columns: buffer[:s.Columns():s.Columns()]}
}

// poll takes the next entry, or says that there is none, or what was lost. It never waits.
func (c *cursor) poll() (Entry, error) {
	if c.words == nil {
		return Entry{}, ErrClosed
	}
	for {
		if !c.isOfNow {
			c.isOfNow = !c.isOfAnotherBoot()
		}
		p := c.position
		s := c.slots.look(p)
		if s == p+1 {
			if s = c.slots.read(p, c.buffer); s == p+1 {
				if c.fresh {
					c.fresh, c.began = false, p
				}
				c.position = p + 1
				if c.Arena == 0 {
					return Entry{Position: p, Record: c.columns}, nil
				}
				if body, whole := c.bodyOf(p); whole {
					return Entry{p, c.columns, body}, nil
				}
				return Entry{}, &LostError{p, p + 1}
			}
		}
		isLoss := true
		switch c.says(s, p) {
		case passed:
			isLoss = c.lap(s) && !c.fresh
		case damaged:
			c.refresh()
			c.skip()
		case skipped:
			c.refresh()
			c.published = max(c.published, p+1)
			c.skip()
		default:
			c.skip()
		}
		switch {
		case c.position == p:
			return Entry{}, ErrEmpty
		case isLoss:
			if c.fresh {
				c.fresh, c.began = false, p
			}
			return Entry{}, &LostError{p, c.position}
		}
	}
}

// pollBatch takes entries without bodies, one record behind the other, as many as there are and have room.
func (c *cursor) pollBatch(records []byte) (first uint64, count int, err error) {
	if c.words == nil {
		return 0, 0, ErrClosed
	}
	first, size := c.position, int(c.EntrySize)
	// The pointer is borne out by the stamp of the entry below it: all up to there was published, and one look is enough.
	end := c.load(atWritePtr)
	if c.Arena == 0 && end > first && end-first <= c.Capacity && c.holds(end-1) {
		for p := first; p < end && len(records) >= size; p++ {
			to := c.buffer
			if size%8 == 0 {
				to = records[:size]
			}
			if c.slots.read(p, to) != p+1 {
				break
			}
			if size%8 != 0 {
				copy(records, c.columns)
			}
			records, count = records[size:], count+1
		}
		if count > 0 {
			if c.fresh {
				c.fresh, c.began = false, first
			}
			c.position = first + uint64(count)
			return first, count, nil
		}
	}
	switch {
	case c.Arena != 0:
		return first, 0, failed(c.name, ErrInvalid, "its entries have bodies, and come one by one; poll them")
	case len(records) < size:
		return first, 0, failed(c.name, ErrInvalid, "a record has %d bytes, and there is room for %d; give more", size, len(records))
	}
	entry, err := c.poll()
	if err != nil {
		return first, 0, err
	}
	copy(records, entry.Record)
	return entry.Position, 1, nil
}

// refresh determines the end anew. In a log of another boot nothing moves until a writer attaches.
func (c *cursor) refresh() {
	if c.isOfNow {
		c.published = max(c.published, c.endBySlots())
	}
}

// skip passes over what was published and is not there: up to the first that is there, or was overwritten, or the end.
func (c *cursor) skip() {
	for p := c.position; p < c.published; p++ {
		if p-c.position == c.Capacity {
			break // every slot has been looked at
		}
		if it := c.says(c.stamp(p), p); it == here || it == passed {
			c.position = p
			return
		}
	}
	c.position = max(c.position, c.published)
}

// lap goes on where the log still holds something, behind what a stamp says was overwritten. It returns false if the
// stamp is damaged.
func (c *cursor) lap(stamp uint64) bool {
	p := c.position
	holder, _, _ := c.holder(stamp, p&(c.Capacity-1))
	before := c.end()
	for begin := time.Now(); time.Since(begin) < time.Microsecond; {
	}
	end := c.end()
	if p >= end {
		return false // and this is empty
	}
	c.published = max(c.published, end)
	if holder > end {
		c.position = max(p+1, max(end, c.Capacity)-c.Capacity)
		return false
	}
	oldest := c.oldest(end)
	if before != end {
		// So as not to be lapped again at once.
		if c.step == 0 || p-c.lapped >= c.Capacity {
			c.step = max(c.Capacity/16, 1)
		} else {
			c.step = min(2*c.step, c.Capacity/2)
		}
		oldest = min(oldest+c.step, end)
	}
	c.position = max(oldest, p+1)
	c.lapped = c.position
	return true
}

// bodyOf returns the body of the entry in record, or that it is not there.
func (c *cursor) bodyOf(position uint64) ([]byte, bool) {
	at := c.Columns() / 8
	head, rest := c.record[at], c.record[at+1:]
	if head <= c.Inline {
		return bytesOf(rest)[:head:head], true
	}
	length := head &^ inArena
	if head < inArena || length > c.BodyMax() {
		return nil, false
	}
	place := rest[0]
	if !isPlace(place, length, c.Arena) {
		return nil, false
	}
	if !c.isOfNow && position >= c.load(atSynced) {
		return nil, false
	}
	count := roundUp(length, 8) / 8
	if uint64(cap(c.body)) < count {
		c.body = make([]uint64, count)
	}
	c.out(bytesOf(c.body[:count]), c.arenaAt()+place&(c.Arena-1))
	if c.load(atHorizon) > place {
		return nil, false
	}
	c.arenaEnd = place + length
	return bytesOf(c.body[:count])[:length:length], true
}

// isPlace returns whether a body of this length can be at a place of an arena.
func isPlace(place, length, arena uint64) bool {
	return place < noPosition && place%8 == 0 && place&(arena-1)+length <= arena
}
