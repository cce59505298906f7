package ringlog

import (
	"context"
	"iter"
	"os"
	"runtime"
	"time"
)

// Start is where a reader or an observer begins.
type Start struct {
	from startKind
	at   uint64
}

type startKind int

const (
	resume startKind = iota
	oldest
	newest
	at
)

// Where a reader or an observer can begin.
var (
	// Resume is where the reader left off, and of an observer the oldest entry.
	Resume = Start{}
	// Oldest is the oldest entry that the log holds.
	Oldest = Start{from: oldest}
	// Newest is behind the newest entry: what comes from now on.
	Newest = Start{from: newest}
)

// At is a position. What the log no longer holds of it is lost.
func At(position uint64) Start { return Start{at, position} }

// defaultIdle is how long a wait sleeps at most before it looks again.
const defaultIdle = time.Millisecond

// An Observer looks at a log without a claim, and stores nothing: any number can.
type Observer struct {
	cursor
	Idle time.Duration // how long a wait sleeps at most before it looks again; by default a millisecond
}

// Observe begins to look at a log.
func (l *Log) Observe(start Start) (*Observer, error) {
	s, err := l.again(toLook)
	if err != nil {
		return nil, err
	}
	o := &Observer{cursor: s.cursor(), Idle: defaultIdle}
	if err := o.seek(start); err != nil {
		s.close()
		return nil, err
	}
	return o, nil
}

// Seek goes elsewhere: forth or back.
func (o *Observer) Seek(start Start) error {
	if o.words == nil {
		return ErrClosed
	}
	return o.seek(start)
}

// seek puts a place elsewhere.
func (c *cursor) seek(start Start) error {
	end := c.end()
	position, fresh := end, false
	switch start.from {
	case at:
		if start.at > end {
			return failed(c.name, ErrInvalid, "there is no position %d yet; it ends at %d", start.at, end)
		}
		position = start.at
	case resume, oldest:
		position, fresh = c.whole(end), true
	}
	c.position, c.published, c.began, c.fresh, c.step = position, end, position, fresh, 0
	return nil
}

// Position returns the position of the next entry that it takes.
func (c *cursor) Position() uint64 { return c.position }

// Poll takes the next entry. It never waits: the error is ErrEmpty where there is none yet. A *LostError says what was
// overwritten first; the next poll goes on behind it.
func (o *Observer) Poll() (Entry, error) { return o.poll() }

// PollBatch takes as many entries as there are and have room, one record behind the other, of a log without bodies. It
// returns the position of the first of them and how many there were; otherwise the error is as of Poll.
func (o *Observer) PollBatch(records []byte) (first uint64, count int, err error) {
	return o.pollBatch(records)
}

// Next waits for the next entry. The error is a *LostError, or the context's.
func (o *Observer) Next(ctx context.Context) (Entry, error) {
	return o.next(ctx, o.poll, func() { pause(ctx, o.Idle) })
}

// All returns the entries, and waits for those that come, until the context is done. An error is a *LostError, and the
// loop goes on.
func (o *Observer) All(ctx context.Context) iter.Seq2[Entry, error] {
	return all(ctx, o.Next, func() {})
}

// Latest returns the newest entry, or ErrEmpty where there is none.
func (o *Observer) Latest() (Entry, error) {
	if o.words == nil {
		return Entry{}, ErrClosed
	}
	for range 64 {
		end := o.end()
		if end == o.base {
			return Entry{}, ErrEmpty
		}
		o.published, o.position = max(o.published, end), end-1
		if entry, err := o.poll(); err == nil {
			return entry, nil
		}
	}
	return Entry{}, &LostError{o.position - 1, o.position}
}

// Close lets go of the log.
func (o *Observer) Close() error {
	o.close()
	return nil
}

// checkpoint is what a reader committed.
type checkpoint struct{ position, lost, laps uint64 }

// A Reader is one of the eight durable readers of a log: its place is in the log, and whoever is this reader next goes on
// where it committed. What was taken and not committed comes again.
type Reader struct {
	cursor
	Idle time.Duration // how long a wait sleeps at most before it looks again; by default a millisecond

	id         int
	claim      claim
	committed  checkpoint
	slot       uint64 // which of the two checkpoints counts
	lost, laps uint64
	last       LostError // the last loss that is not in the log yet
	released   uint64    // where the last body that is committed ends in the arena
	isNew      bool      // nobody has committed as this reader
	isUntold   bool      // where it began is not in the log yet
	notice     string
}

// Reader becomes one of the readers 0 to 7, and goes on where it left off; at the oldest entry, if nobody has been this
// reader.
func (l *Log) Reader(id int) (*Reader, error) {
	if id < 0 || id >= Readers {
		return nil, failed(l.name, ErrInvalid, "there is no reader %d; readers are 0 to 7", id)
	}
	s, err := l.again(toRead)
	if err != nil {
		return nil, err
	}
	pointer := atReadPtrs + 8*uint64(id)
	claim, err := s.claim(pointer, "reader "+string(rune('0'+id)))
	if err != nil {
		s.close()
		return nil, err
	}
	r := &Reader{cursor: s.cursor(), Idle: defaultIdle, id: id, claim: claim}
	r.isNew = s.load(pointer) == 0 && s.load(s.line(id)+inCommit) == 0
	if !r.isNew {
		r.findCommitted(s.load(pointer))
		r.committed.position = min(r.committed.position, s.end())
	}
	r.lost, r.laps = r.committed.lost, r.committed.laps
	if err := r.Seek(Resume); err != nil {
		claim.free()
		s.close()
		return nil, err
	}
	line := s.line(id)
	s.store(line+inPid, 0)
	s.store(line+inPidNS, 0)
	s.store(line+inState, 1)
	s.store(line+inAttached, wallNS())
	s.store(line+inPidNS, pidNamespace())
	s.store(line+inPid, uint64(os.Getpid()))
	return r, nil
}

// Seek goes elsewhere, forth or back: what is skipped is not lost. [Resume] is the last commit.
func (r *Reader) Seek(start Start) error {
	if r.words == nil {
		return ErrClosed
	}
	if start.from == resume && !r.isNew {
		start = At(r.committed.position)
	}
	r.isUntold = true
	return r.seek(start)
}

// line returns where the line of a reader is.
func (s *segment) line(id int) uint64 { return atReaders + uint64(id)*readerSize }

func (s *segment) checkpointAt(id int, slot uint64) uint64 {
	return s.line(id) + inCheckpoints + slot*checkpointSize
}

func (s *segment) loadCheckpoint(id int, slot uint64) checkpoint {
	place := s.checkpointAt(id, slot)
	return checkpoint{s.load(place), s.load(place + inLost), s.load(place + inLaps)}
}

// findCommitted finds what the reader before this one committed.
func (r *Reader) findCommitted(pointer uint64) {
	greatest := checkpoint{position: pointer}
	found := false
	for slot := range uint64(2) {
		it := r.loadCheckpoint(r.id, slot)
		switch {
		case it.position == nobody:
		case it.position == pointer:
			r.committed, r.slot = it, slot
			return
		case !found || it.position > greatest.position:
			greatest, r.slot, found = it, slot, true
		}
	}
	r.committed = greatest
	r.notice = "reader " + string(rune('0'+r.id)) + ": its read pointer is not what it committed: another program has stored here"
}

// Notice returns what was odd in the log where the reader left off; mostly nothing.
func (r *Reader) Notice() string { return r.notice }

// ID returns which reader it is.
func (r *Reader) ID() int { return r.id }

// Lost returns how many entries this reader has lost, in all, since the log was made.
func (r *Reader) Lost() uint64 { return r.lost }

// Committed returns the position below which everything is committed.
func (r *Reader) Committed() uint64 { return r.committed.position }

// IsGate returns whether the writer waits for this reader.
func (r *Reader) IsGate() bool {
	return r.words != nil && r.gates>>r.id&1 == 1 && r.load(r.line(r.id)+inWaived) == 0
}

// Poll takes the next entry. It never waits: the error is ErrEmpty where there is none yet. A *LostError says what was
// overwritten first; the next poll goes on behind it.
func (r *Reader) Poll() (Entry, error) {
	entry, err := r.poll()
	if err != nil {
		r.count(err)
	}
	return entry, err
}

// PollBatch takes as many entries as there are and have room, one record behind the other, of a log without bodies. It
// returns the position of the first of them and how many there were; otherwise the error is as of Poll.
func (r *Reader) PollBatch(records []byte) (first uint64, count int, err error) {
	if first, count, err = r.pollBatch(records); err != nil {
		r.count(err)
	}
	return first, count, err
}

// count notes what was lost.
func (r *Reader) count(err error) {
	if lost, is := err.(*LostError); is {
		r.lost += lost.To - lost.From
		r.laps++
		r.last = *lost
	}
}

// Next waits for the next entry. The error is a *LostError, or the context's. The writer of a lossless log may wait for
// what is not committed: so commit before, now and then.
func (r *Reader) Next(ctx context.Context) (Entry, error) {
	return r.next(ctx, r.Poll, func() { r.sleep(ctx) })
}

// All returns the entries, and waits for those that come, until the context is done. An error is a *LostError, and the
// loop goes on.
//
// It commits what the loop has had: before it waits, whenever that is a quarter of the ring or of the arena, and when the
// context is done.
// A loop that is left otherwise has not committed the entry that it was left at; Commit does.
func (r *Reader) All(ctx context.Context) iter.Seq2[Entry, error] {
	next := func(ctx context.Context) (Entry, error) {
		if r.position-r.committed.position >= r.Capacity/4 || r.arenaEnd-r.released > r.Arena/4 {
			r.Commit()
		}
		entry, err := r.Poll()
		if err == ErrEmpty {
			r.commitAny()
			return r.Next(ctx)
		}
		return entry, err
	}
	return all(ctx, next, r.commitAny)
}

// commitAny commits if there is anything to commit.
func (r *Reader) commitAny() {
	if r.words != nil && (r.position != r.committed.position || r.lost != r.committed.lost) {
		r.Commit()
	}
}

// Commit stores in the log that all below Position is done with: taken and carried out, or lost. Commit once a batch.
func (r *Reader) Commit() { r.commitAt(r.position) }

// commitAt commits all below a position.
func (r *Reader) commitAt(position uint64) {
	if r.words == nil {
		return
	}
	r.tell(position)
	line, old := r.line(r.id), r.slot
	r.slot ^= 1
	fresh := r.checkpointAt(r.id, r.slot)
	r.store(fresh, nobody)
	r.store(fresh+inLost, r.lost)
	r.store(fresh+inLaps, r.laps)
	r.store(fresh+inMark, 0)
	r.store(fresh, position)
	// A fence, for the look at room.
	r.exchange(atReadPtrs+8*uint64(r.id), position)
	r.store(r.checkpointAt(r.id, old), nobody)
	r.store(line+inCommit, wallNS())
	r.committed, r.released = checkpoint{position, r.lost, r.laps}, r.arenaEnd
	r.isNew = false
	if r.gates>>r.id&1 == 1 {
		r.wakeWriter()
	}
}

// tell stores, before a commit, what it says to people, and that the entries go into no file.
func (r *Reader) tell(position uint64) {
	line, notes := r.line(r.id), atNotes+uint64(r.id)*notesSize
	if r.load(line+inFile) != 0 {
		r.store(notes+inPathLen, nobody)
		r.store(line+inFile, 0)
	}
	if r.isUntold {
		r.isUntold = false
		if was := r.load(line + inBegan); r.isNew || r.began < was {
			missed := min(r.load(line+inMissed), r.began)
			if r.isNew {
				missed = r.began - min(r.began, r.base)
			}
			r.store(line+inMissed, 0)
			r.store(line+inBegan, r.began)
			r.store(line+inMissed, missed)
		}
	}
	if position < r.committed.position || r.lost < r.committed.lost {
		r.store(line+inPeakPosition, max(r.load(line+inPeakPosition), r.committed.position))
		r.store(line+inPeakLost, max(r.load(line+inPeakLost), r.committed.lost))
	}
	if r.last.To != 0 {
		r.store(notes+inLostNS, 0)
		r.store(notes+inLostFrom, 0)
		r.store(notes+inLostTo, r.last.To)
		r.store(notes+inLostFrom, r.last.From)
		r.store(notes+inLostNS, wallNS())
		r.last = LostError{}
	}
}

// wakeWriter wakes the writer of a lossless log, if it may be asleep until there is room.
func (r *Reader) wakeWriter() {
	if s := r.load(atRoom); s&1 == 1 && r.swap(atRoom, s, s+1) {
		wakeAll(r.half(atRoom))
	}
}

// LetOff tells the writer of a lossless log to wait for this reader no more, for good.
func (r *Reader) LetOff() {
	if r.words != nil {
		r.exchange(r.line(r.id)+inWaived, 1)
		r.wakeWriter()
	}
}

// Close lets go of the claim: what is not committed comes again.
func (r *Reader) Close() error {
	if r.words == nil {
		return nil
	}
	r.store(r.line(r.id)+inState, 0)
	r.claim.free()
	r.close()
	return nil
}

// sleep waits until the writer wakes its sleepers, but at most as long as Idle says.
func (r *Reader) sleep(ctx context.Context) {
	if r.words == nil {
		return
	}
	s := r.or(atSleepers, 1) | 1
	longest := r.Idle
	if !isClaimed(r.fd, atWritePtr) {
		longest = max(longest, withoutWriter) // one that attaches wakes its sleepers
	}
	if r.isReady() {
		return
	}
	word := r.half(atSleepers)
	stop := context.AfterFunc(ctx, func() { wakeAll(word) })
	sleepOn(word, uint32(s), longest)
	stop()
}

// withoutWriter is how long a wait sleeps at most where nobody can append.
const withoutWriter = 50 * time.Millisecond

// isReady returns whether a poll would give anything.
func (c *cursor) isReady() bool {
	it := c.says(c.stamp(c.position), c.position)
	return it == here || it == skipped || it == passed || c.position < c.published
}

// next polls until there is something, spins for a moment, and then rests in between.
func (c *cursor) next(ctx context.Context, poll func() (Entry, error), rest func()) (Entry, error) {
	for round := 0; ; round++ {
		entry, err := poll()
		if err != ErrEmpty {
			return entry, err
		}
		switch {
		case round < 200:
		case round < 220:
			runtime.Gosched()
		case ctx.Err() != nil:
			return Entry{}, ctx.Err()
		default:
			if c.refresh(); !c.isReady() {
				rest()
			}
		}
	}
}

// pause sleeps, but not longer than the context lasts.
func pause(ctx context.Context, longest time.Duration) {
	if ctx.Done() == nil {
		time.Sleep(longest)
		return
	}
	timer := time.NewTimer(longest)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// all makes an iterator of a function that waits for the next entry.
func all(ctx context.Context, next func(context.Context) (Entry, error), atEnd func()) iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		for ctx.Err() == nil {
			entry, err := next(ctx)
			if err != nil {
				if _, isLoss := err.(*LostError); !isLoss {
					break
				}
			}
			if !yield(entry, err) {
				return
			}
		}
		atEnd()
	}
}
