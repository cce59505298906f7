package ringlog

import (
	"context"
	"errors"
	"os"
	"runtime"
	"time"
)

// A Writer appends to a log. There is one at a time.
type Writer struct {
	*segment
	claim  claim
	next   uint64 // the position of the next entry
	slots  slots
	simple uint64   // the bytes of a record that has no body
	record []uint64 // the words of one that has

	// limit is above all positions that gates leave room for.
	limit uint64
	// place is where the next body goes; all that is stored goes below cleared.
	place, cleared uint64
	// held is the first position that some gate has not committed and that has a body in the arena, or where to look
	// on for it; arenaLimit is what that leaves room for.
	held, arenaLimit uint64
	isSynced         bool // the log says of bodies that they are on the disk
	isWaiting        bool // the log says for which gate
}

// Writer becomes the log's writer, and goes on where the last one stopped.
func (l *Log) Writer() (*Writer, error) {
	s, err := l.again(toWrite)
	if err != nil {
		return nil, err
	}
	claim, err := s.claim(atWritePtr, "writer")
	if err != nil {
		s.close()
		return nil, err
	}
	w := &Writer{segment: s, claim: claim, slots: s.allSlots(), simple: s.EntrySize}
	if s.Arena != 0 {
		w.record = make([]uint64, s.EntrySize/8)
		w.simple = nobody
	}
	w.next = s.end()
	s.store(atWritePtr, w.next)
	if s.isOfAnotherBoot() {
		s.forgetUnsynced()
	}
	if s.endBySlots() != w.next {
		s.store(s.slotAt(w.next), writing|w.next)
	}
	s.store(atPidNS, 0)
	s.store(atPid, uint64(os.Getpid()))
	s.store(atPidNS, pidNamespace())
	s.store(atAttached, wallNS())
	s.store(atHeartbeat, 0)
	s.store(atWaitingFor, 0)
	s.store(atState, 1)
	s.store(atEpoch, s.load(atEpoch)+1)
	s.store(atBoot, bootID()[0])
	s.store(atBoot+8, bootID()[1])
	if s.Arena != 0 {
		w.findPlace()
	}
	w.limit = noPosition
	if s.gates != 0 {
		w.limit = 0
	}
	w.Wake() // who sleeps while there is no writer sleeps long
	return w, nil
}

// bodyInArena returns where the body of a slot's entry is, and where it ends, if it is in the arena.
func (s *segment) bodyInArena(slot uint64) (place, end uint64, is bool) {
	head := s.load(slot + 8 + s.Columns())
	length := head &^ inArena
	if head < inArena || length > s.BodyMax() {
		return 0, 0, false
	}
	place = s.load(slot + 16 + s.Columns())
	return place, place + roundUp(length, 8), isPlace(place, length, s.Arena)
}

// forgetUnsynced takes away, after another boot, the entries whose bodies may be on the disk in part.
func (s *segment) forgetUnsynced() {
	if s.Arena == 0 {
		return
	}
	synced := s.load(atSynced)
	for slot := range s.Capacity {
		at := headerSize + slot*s.SlotSize
		position, _, good := s.holder(s.load(at), slot)
		if _, _, is := s.bodyInArena(at); is && s.load(at) != 0 && good && position >= synced {
			s.store(at, 0)
		}
	}
}

// findPlace finds where in the arena to go on: above all that was ever stored there.
func (w *Writer) findPlace() {
	w.cleared = w.load(atHorizon) + w.Arena
	for slot := range w.Capacity {
		if _, end, is := w.bodyInArena(headerSize + slot*w.SlotSize); is && end > w.cleared {
			w.cleared = end
		}
	}
	w.store(atHorizon, w.cleared-w.Arena)
	w.place = w.cleared
	w.isSynced = w.load(atSynced) != 0
}

// Position returns the position of the next entry.
func (w *Writer) Position() uint64 { return w.next }

// Append appends a record, and returns its position. It never waits; of a lossless log the error is a *FullError where
// there is no room.
func (w *Writer) Append(record []byte) (uint64, error) {
	if uint64(len(record)) != w.simple {
		return w.AppendBody(record, nil)
	}
	p := w.next
	if p >= w.limit {
		if err := w.findRoom(); err != nil {
			return 0, err
		}
	}
	w.slots.fill(p, record)
	w.next = p + 1
	w.publish()
	return p, nil
}

// AppendBody appends a record with a body, which is of a kind that the schema says. It never waits; of a lossless log the
// error is a *FullError where there is no room.
func (w *Writer) AppendBody(record, body []byte) (uint64, error) {
	columns := w.Columns()
	switch {
	case w.words == nil:
		return 0, ErrClosed
	case uint64(len(record)) != columns:
		return 0, failed(w.name, ErrInvalid, "a record has %d bytes, and not %d", columns, len(record))
	case w.Arena == 0 && len(body) != 0:
		return 0, failed(w.name, ErrInvalid, "its entries have no body; make the log with one")
	case w.Arena == 0:
		return w.Append(record)
	case uint64(len(body)) > w.BodyMax():
		return 0, failed(w.name, ErrInvalid, "a body of %d bytes is too long: half of the arena, %d bytes, is the most; "+
			"make the log with a larger one", len(body), w.BodyMax())
	}
	p := w.next
	if p >= w.limit {
		if err := w.findRoom(); err != nil {
			return 0, err
		}
	}
	words := w.record[:copy(bytesOf(w.record), record)/8]
	length := uint64(len(body))
	if length <= w.Inline {
		words = append(words, length)
		words = w.record[:uint64(len(words))+roundUp(length, 8)/8]
		inline := bytesOf(words)[len(record)+8:]
		clear(inline[copy(inline, body):])
	} else {
		place, err := w.storeBody(body)
		if err != nil {
			return 0, err
		}
		words = append(words, inArena|length, place)
	}
	w.slots.fill(p, bytesOf(words))
	w.next = p + 1
	w.publish()
	return p, nil
}

// storeBody stores a body in the arena, and returns its place.
func (w *Writer) storeBody(body []byte) (uint64, error) {
	length := roundUp(uint64(len(body)), 8)
	place := roundUp(w.place, bodyAligned)
	if place&(w.Arena-1)+length > w.Arena {
		place = roundUp(place, w.Arena)
	}
	end := place + length
	if end > w.cleared {
		if err := w.clearUpTo(end); err != nil {
			return 0, err
		}
	}
	at := w.arenaAt() + place&(w.Arena-1)
	w.in(at, body)
	w.place = end
	return place, nil
}

// clearUpTo says that what lies an arena's length below is overwritten, and a bit more.
func (w *Writer) clearUpTo(end uint64) error {
	cleared := end + w.Arena/16
	if w.gates != 0 {
		limit := w.arenaRoom(end)
		if end > limit {
			return w.full()
		}
		cleared = min(cleared, limit)
		w.waitNoMore()
	}
	if w.isSynced {
		w.isSynced = false
		w.store(atSynced, 0)
		if err := syncMapping(w.words, pageSize); err != nil {
			return failed(w.name, err, "its header cannot be written to the disk: %v", err)
		}
	}
	w.cleared = cleared
	w.store(atHorizon, cleared-w.Arena)
	return nil
}

// AppendBatch appends records that lie one behind the other, of a log without bodies, and publishes them together. It
// returns the position of the first and how many there were: of a lossless log only those that have room, and a
// *FullError where that is none.
func (w *Writer) AppendBatch(records []byte) (first uint64, count int, err error) {
	size := int(w.EntrySize)
	switch {
	case w.words == nil:
		return 0, 0, ErrClosed
	case w.Arena != 0:
		return 0, 0, failed(w.name, ErrInvalid, "its entries have bodies, and are appended one by one")
	case len(records)%size != 0:
		return 0, 0, failed(w.name, ErrInvalid, "%d bytes are no whole records of %d", len(records), size)
	}
	first = w.next
	for len(records) > 0 {
		if w.next >= w.limit {
			if err := w.findRoom(); err != nil {
				w.publish()
				if count > 0 {
					err = nil
				}
				return first, count, err
			}
		}
		w.slots.fill(w.next, records[:size])
		w.next++
		records, count = records[size:], count+1
		if uint64(count)&(w.Capacity/2-1) == 0 {
			w.publish()
		}
	}
	w.publish()
	return first, count, nil
}

func (w *Writer) publish() { w.store(atWritePtr, w.next) }

// isGate returns whether the writer waits for a reader.
func (w *Writer) isGate(id int) bool {
	line := w.line(id)
	if w.gates>>id&1 == 0 || w.load(line+inWaived) != 0 {
		return false
	}
	isGone := w.absent == 1 && w.load(line+inAttached) != 0 && !isClaimed(w.fd, atReadPtrs+8*uint64(id))
	return !isGone
}

// hindmost returns the least position that a gate has not committed, and which gate that is.
func (w *Writer) hindmost(only func(id int) bool) (position uint64, gate int) {
	position, gate = w.next, -1
	for id := range Readers {
		if w.gates>>id&1 == 0 || !only(id) {
			continue
		}
		if pointer := w.load(atReadPtrs + 8*uint64(id)); pointer < position || gate < 0 {
			position, gate = min(pointer, w.next), id
		}
	}
	return position, gate
}

// isWaitedFor is isGate without a look at claims.
func (w *Writer) isWaitedFor(id int) bool { return w.load(w.line(id)+inWaived) == 0 }

// findRoom computes the limit anew.
func (w *Writer) findRoom() error {
	for _, only := range []func(int) bool{w.isWaitedFor, w.isGate} {
		position, _ := w.hindmost(only)
		if w.limit = position + w.Capacity; w.next < w.limit {
			w.waitNoMore()
			return nil
		}
		if w.absent == 0 {
			break
		}
	}
	return w.full()
}

// arenaRoom computes anew up to where gates leave room for bodies, at least for one that ends there.
func (w *Writer) arenaRoom(end uint64) uint64 {
	for _, only := range []func(int) bool{w.isWaitedFor, w.isGate} {
		position, _ := w.hindmost(only)
		w.held = max(w.held, position)
		w.arenaLimit = noPosition
		for ; w.held < w.next; w.held++ {
			slot := w.slotAt(w.held)
			if w.load(slot) != w.held+1 {
				continue
			}
			if place, _, is := w.bodyInArena(slot); is {
				w.arenaLimit = place + w.Arena
				break
			}
		}
		if end <= w.arenaLimit || w.absent == 0 {
			break
		}
	}
	return w.arenaLimit
}

// waitNoMore takes back what AppendWait says to people.
func (w *Writer) waitNoMore() {
	if w.isWaiting {
		w.isWaiting = false
		w.store(atWaitingFor, 0)
	}
}

// full says which gate there is no room for.
func (w *Writer) full() error {
	position, gate := w.hindmost(w.isGate)
	return &FullError{max(gate, 0), w.next - position}
}

// AppendWait appends a record with a body, or nil, and waits for room where a lossless log has none.
func (w *Writer) AppendWait(ctx context.Context, record, body []byte) (uint64, error) {
	for round := 0; ; round++ {
		position, err := w.AppendBody(record, body)
		var full *FullError
		if !errors.As(err, &full) {
			return position, err
		}
		switch {
		case round < 200:
			continue
		case round < 220:
			runtime.Gosched()
			continue
		case ctx.Err() != nil:
			w.waitNoMore()
			return 0, errors.Join(full, ctx.Err())
		}
		if !w.isWaiting {
			w.isWaiting = true
			w.store(atWaitingSince, wallNS())
			w.store(atWaitingFor, 1+uint64(full.Reader))
		}
		s := w.or(atRoom, 1) | 1
		if position, err = w.AppendBody(record, body); err == nil || !errors.As(err, &full) {
			return position, err
		}
		word := w.half(atRoom)
		stop := context.AfterFunc(ctx, func() { wakeAll(word) })
		sleepOn(word, uint32(s), 5*time.Millisecond)
		stop()
	}
}

// Wake wakes the readers that sleep until there is an entry. While none does it costs little.
func (w *Writer) Wake() {
	if w.words == nil {
		return
	}
	fence()
	if s := w.load(atSleepers); s&1 == 1 {
		w.store(atSleepers, s+1)
		wakeAll(w.half(atSleepers))
	}
}

// Heartbeat says that the engine lives.
func (w *Writer) Heartbeat() {
	if w.words != nil {
		w.store(atHeartbeat, wallNS())
	}
}

// Sync returns when all that was appended is on the disk, for a log in a file.
func (w *Writer) Sync() error {
	if w.words == nil {
		return ErrClosed
	}
	err := syncMapping(w.words, w.fileSize())
	if err == nil && w.Arena != 0 {
		w.store(atSynced, w.next)
		w.isSynced = w.next != 0
		err = syncMapping(w.words, pageSize)
	}
	if err != nil {
		return failed(w.name, err, "cannot be written to the disk: %v", err)
	}
	return nil
}

// Close lets go of the claim. The log stays, with all that was appended.
func (w *Writer) Close() error {
	if w.words == nil {
		return nil
	}
	w.store(atState, 0)
	w.claim.free()
	w.close()
	w.slots, w.simple = slots{}, nobody
	return nil
}
