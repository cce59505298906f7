package ringlog

import (
	"context"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

func TestEntriesComeAsTheyWereAppended(t *testing.T) {
	log, samples := sampleLog(t, Options{Capacity: 64})
	w, err := log.Writer()
	must(t, err)
	defer w.Close()
	r, err := log.Reader(0)
	must(t, err)
	defer r.Close()
	appendSamples(t, w, samples, 20)
	batch := make([]sample, 30)
	for i := range batch {
		batch[i] = sampleAt(20 + uint64(i))
	}
	first, count, err := w.AppendBatch(samples.All(batch))
	must(t, err)
	equal(t, "batch", [2]uint64{first, uint64(count)}, [2]uint64{20, 30})
	for position := range uint64(10) {
		entry, err := r.Poll()
		must(t, err)
		equal(t, "entry", *samples.Of(entry.Record), sampleAt(position))
	}
	taken := make([]sample, 64)
	first, count, err = r.PollBatch(samples.All(taken))
	must(t, err)
	equal(t, "batch", [2]uint64{first, uint64(count)}, [2]uint64{10, 40})
	for i, it := range taken[:count] {
		equal(t, "entry", it, sampleAt(10+uint64(i)))
	}
	_, err = r.Poll()
	equal(t, "nothing more", err, ErrEmpty)
	_, _, err = r.PollBatch(samples.All(taken))
	equal(t, "nothing more", err, ErrEmpty)
	o, err := log.Observe(Newest)
	must(t, err)
	defer o.Close()
	entry, err := o.Latest()
	must(t, err)
	equal(t, "the newest", *samples.Of(entry.Record), sampleAt(49))
}

func TestReaderGoesOnWhereItCommitted(t *testing.T) {
	log, samples := sampleLog(t, Options{Capacity: 64})
	w, err := log.Writer()
	must(t, err)
	defer w.Close()
	appendSamples(t, w, samples, 20)
	for round := range uint64(4) {
		r, err := log.Reader(3)
		must(t, err)
		equal(t, "begins", r.Position(), 5*round)
		for range 7 {
			_, _ = r.Poll()
			if r.Position() == 5*round+5 {
				r.Commit()
			}
		}
		must(t, r.Close())
	}
}

func TestReaderIsToldExactlyWhatItLost(t *testing.T) {
	log, samples := sampleLog(t, Options{Capacity: 64})
	w, err := log.Writer()
	must(t, err)
	appendSamples(t, w, samples, 1)
	r, err := log.Reader(0)
	must(t, err)
	var stop atomic.Bool
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for !stop.Load() {
			it := sampleAt(w.Position())
			_, _ = w.Append(samples.Bytes(&it))
		}
	}()
	var had, lost, next uint64
	check := func(position uint64, it sample) {
		if position != next || it != sampleAt(position) {
			t.Errorf("%d: %+v, and the next was %d", position, it, next)
		}
		next, had = position+1, had+1
	}
	batch := make([]sample, 16)
	for round := 0; (had < 200_000 || lost < 100_000) && !t.Failed(); round++ {
		var err error
		if round%2 == 0 {
			var entry Entry
			if entry, err = r.Poll(); err == nil {
				check(entry.Position, *samples.Of(entry.Record))
			}
		} else {
			var first uint64
			var count int
			first, count, err = r.PollBatch(samples.All(batch))
			for i, it := range batch[:count] {
				check(first+uint64(i), it)
			}
		}
		var loss *LostError
		if errors.As(err, &loss) {
			if loss.From != next || loss.To <= loss.From {
				t.Errorf("%v, and the next was %d", loss, next)
			}
			lost, next = lost+loss.To-loss.From, loss.To
		}
		if round%1000 == 0 {
			r.Commit()
		}
		if round%50_000 == 0 {
			time.Sleep(time.Millisecond)
		}
	}
	stop.Store(true)
	<-ended
	equal(t, "had and lost", had+lost, r.Position())
	equal(t, "counted", r.Lost(), lost)
	r.Commit()
	must(t, r.Close())
	must(t, w.Close())
}

func TestNewReaderHasLostNothing(t *testing.T) {
	log, samples := sampleLog(t, Options{Capacity: 16})
	w, err := log.Writer()
	must(t, err)
	defer w.Close()
	appendSamples(t, w, samples, 20)
	r, err := log.Reader(0)
	must(t, err)
	defer r.Close()
	appendSamples(t, w, samples, 20) // what it would begin at is overwritten before it looks
	entry, err := r.Poll()
	must(t, err)
	equal(t, "begins", entry.Position, uint64(24))
	r.Commit()
	line := log.line(0)
	equal(t, "where it began", [3]uint64{log.load(line + inBegan), log.load(line + inMissed), r.Lost()}, [3]uint64{24, 24, 0})
	appendSamples(t, w, samples, 40)
	_, err = r.Poll()
	equal(t, "then it loses", err, error(&LostError{25, 64}))
	r.Commit()
	notes := uint64(atNotes)
	equal(t, "its last loss", [2]uint64{log.load(notes + inLostFrom), log.load(notes + inLostTo)}, [2]uint64{25, 64})
}

func TestClaimsExcludeEachOther(t *testing.T) {
	log, _ := sampleLog(t, Options{})
	w, err := log.Writer()
	must(t, err)
	equal(t, "a writer", log.HasWriter(), true)
	_, err = log.Writer()
	equal(t, "the second writer", errors.Is(err, ErrClaimed), true)
	must(t, w.Close())
	equal(t, "no writer", log.HasWriter(), false)
	w, err = log.Writer()
	must(t, err)
	must(t, w.Close())
	r, err := log.Reader(7)
	must(t, err)
	_, err = log.Reader(7)
	equal(t, "the second reader 7", errors.Is(err, ErrClaimed), true)
	other, err := log.Reader(6)
	must(t, err)
	must(t, other.Close())
	must(t, r.Close())
	_, err = log.Reader(8)
	equal(t, "reader 8", errors.Is(err, ErrInvalid), true)
}

func TestWhatIsClosedSaysSo(t *testing.T) {
	log, samples := sampleLog(t, Options{Gates: []int{0}})
	w, err := log.Writer()
	must(t, err)
	r, err := log.Reader(0)
	must(t, err)
	o, err := log.Observe(Oldest)
	must(t, err)
	for range 2 {
		must(t, errors.Join(w.Close(), r.Close(), o.Close(), log.Close()))
	}
	it := sampleAt(0)
	_, err = w.Append(samples.Bytes(&it))
	equal(t, "append", err, ErrClosed)
	_, _, err = w.AppendBatch(samples.Bytes(&it))
	equal(t, "batch", err, ErrClosed)
	_, err = w.AppendWait(context.Background(), samples.Bytes(&it), nil)
	equal(t, "wait", err, ErrClosed)
	equal(t, "sync", w.Sync(), ErrClosed)
	w.Wake()
	w.Heartbeat()
	_, err = r.Poll()
	equal(t, "poll", err, ErrClosed)
	_, err = r.Next(context.Background())
	equal(t, "next", err, ErrClosed)
	for range r.All(context.Background()) {
		t.Error("an entry")
	}
	r.Commit()
	r.LetOff()
	_, err = o.Latest()
	equal(t, "latest", err, ErrClosed)
	_, err = log.Writer()
	equal(t, "writer", errors.Is(err, ErrClosed), true)
	_, err = log.Observe(Oldest)
	equal(t, "observe", errors.Is(err, ErrClosed), true)
}

func TestLosslessWriterWaitsForItsGates(t *testing.T) {
	log, samples := sampleLog(t, Options{Capacity: 8, Gates: []int{0, 2}})
	w, err := log.Writer()
	must(t, err)
	defer w.Close()
	appendSamples(t, w, samples, 8)
	it := sampleAt(8)
	_, err = w.Append(samples.Bytes(&it))
	var full *FullError
	equal(t, "full", errors.As(err, &full) && full.Behind == 8, true)
	short, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancel()
	_, err = w.AppendWait(short, samples.Bytes(&it), nil)
	equal(t, "in vain", errors.Is(err, context.DeadlineExceeded) && errors.Is(err, ErrFull), true)
	equal(t, "waits for nobody any more", log.load(atWaitingFor), uint64(0))

	two, err := log.Reader(2)
	must(t, err)
	two.LetOff()
	must(t, two.Close())
	const count = 20_000
	ended, ctx := make(chan error), inTime(t)
	go func() {
		zero, err := log.Reader(0)
		if err != nil {
			ended <- err
			return
		}
		defer zero.Close()
		next := uint64(0)
		for entry, err := range zero.All(ctx) {
			if err != nil || entry.Position != next || *samples.Of(entry.Record) != sampleAt(next) {
				t.Errorf("%v, %v, and the next was %d", entry.Position, err, next)
				break
			}
			if next++; next == count {
				zero.Commit()
				break
			}
			if next == 5000 {
				time.Sleep(20 * time.Millisecond) // the writer sleeps
			}
		}
		ended <- nil
	}()
	for position := uint64(8); position < count; position++ {
		it := sampleAt(position)
		_, err := w.AppendWait(ctx, samples.Bytes(&it), nil)
		must(t, err)
	}
	w.Wake()
	must(t, <-ended)
	equal(t, "lost", log.load(log.checkpointAt(0, 0)+inLost), uint64(0))
}

func TestGoneGateIsSkippedIfTheLogSaysSo(t *testing.T) {
	log, samples := sampleLog(t, Options{Capacity: 8, Gates: []int{1}, SkipAbsent: true})
	w, err := log.Writer()
	must(t, err)
	defer w.Close()
	appendSamples(t, w, samples, 8)
	it := sampleAt(8)
	_, err = w.Append(samples.Bytes(&it))
	equal(t, "one that has never come is waited for", errors.Is(err, ErrFull), true)
	r, err := log.Reader(1)
	must(t, err)
	_, err = w.Append(samples.Bytes(&it))
	equal(t, "one that is there, too", errors.Is(err, ErrFull), true)
	_, err = r.Poll()
	must(t, err)
	r.Commit()
	appendSamples(t, w, samples, 1)
	_, err = w.Append(samples.Bytes(&it))
	equal(t, "and it has committed one", errors.Is(err, ErrFull), true)
	must(t, r.Close())
	appendSamples(t, w, samples, 5)
	r, err = log.Reader(1)
	must(t, err)
	defer r.Close()
	_, err = r.Poll()
	equal(t, "it is told", err, error(&LostError{1, 6}))
}

// body returns a body that is known from its position; its length, too.
func bodyAt(position uint64, most int) []byte {
	random := rand.New(rand.NewPCG(position, 7))
	length := random.IntN(64)
	if position%3 == 0 {
		length = random.IntN(most + 1)
	}
	body := make([]byte, length)
	for i := range body {
		body[i] = byte(position*31 + uint64(i)*7)
	}
	return body
}

type id struct{ ID uint64 }

func bodyLog(t testing.TB, options Options) *Log {
	t.Helper()
	schema, err := SchemaOf[id](BytesBody)
	must(t, err)
	log, err := options.Create(shmName(t), schema)
	must(t, err)
	t.Cleanup(func() { log.Close() })
	return log
}

func idBytes(position uint64) []byte { return binary.LittleEndian.AppendUint64(nil, position) }

func TestBodiesAreWholeOrLost(t *testing.T) {
	log := bodyLog(t, Options{Capacity: 256, Inline: 24, Arena: 16 << 10})
	w, err := log.Writer()
	must(t, err)
	var stop atomic.Bool
	ended := make(chan error)
	go func() {
		for !stop.Load() {
			p := w.Position()
			if _, err := w.AppendBody(idBytes(p), bodyAt(p, 8<<10)); err != nil {
				ended <- err
				return
			}
		}
		ended <- w.Close()
	}()
	r, err := log.Reader(0)
	must(t, err)
	had, lost, inArena := 0, uint64(0), 0
	for (had < 20_000 || inArena < 2_000 || lost < 1000) && !t.Failed() {
		entry, err := r.Poll()
		var loss *LostError
		switch {
		case errors.As(err, &loss):
			lost += loss.To - loss.From
		case err == nil:
			if binary.LittleEndian.Uint64(entry.Record) != entry.Position || string(entry.Body) != string(bodyAt(entry.Position, 8<<10)) {
				t.Errorf("%d: %d bytes that are not its", entry.Position, len(entry.Body))
			}
			if had++; len(entry.Body) > 24 {
				inArena++
			}
		}
	}
	stop.Store(true)
	must(t, <-ended)
	equal(t, "had and lost", uint64(had)+lost, r.Position()-r.began)
	must(t, r.Close())
}

func TestLosslessBodiesAllCome(t *testing.T) {
	for _, every := range []int{1, 3, 7} {
		log := bodyLog(t, Options{Capacity: 64, Inline: 24, Arena: 16 << 10, Gates: []int{0}})
		w, err := log.Writer()
		must(t, err)
		ended, ctx := make(chan error), inTime(t)
		const count = 3000
		go func(w *Writer) {
			for p := range uint64(count) {
				if p == 1000 { // another writer goes on in the same arena
					next, err := anotherWriter(log, w)
					if err != nil {
						ended <- err
						return
					}
					w = next
				}
				if _, err := w.AppendWait(ctx, idBytes(p), bodyAt(p, 8<<10)); err != nil {
					ended <- err
					return
				}
			}
			ended <- w.Close()
		}(w)
		r, err := log.Reader(0)
		must(t, err)
		for p := range uint64(count) {
			var entry Entry
			for {
				if entry, err = r.Poll(); err != ErrEmpty {
					break
				}
				r.Commit()
			}
			must(t, err)
			if entry.Position != p || string(entry.Body) != string(bodyAt(p, 8<<10)) {
				t.Fatalf("%d is not %d, or has another body", entry.Position, p)
			}
			if p%uint64(every) == 0 {
				r.Commit()
			}
		}
		must(t, <-ended)
		must(t, r.Close())
	}
}

func anotherWriter(log *Log, w *Writer) (*Writer, error) {
	_ = w.Close()
	return log.Writer()
}

func TestBodyOfAnyLengthFitsAnEmptyArena(t *testing.T) {
	log := bodyLog(t, Options{Capacity: 8, Inline: 8, Arena: 4096, Gates: []int{0}})
	w, err := log.Writer()
	must(t, err)
	defer w.Close()
	r, err := log.Reader(0)
	must(t, err)
	defer r.Close()
	for first := 9; first <= 2048; first += 61 {
		for _, length := range []int{2048, 2047, 1985, 1984, 64, 8, 9} {
			for _, length := range []int{first, length} {
				body := bodyAt(1, 0)
				body = append(body, make([]byte, length)...)[:length]
				_, err := w.AppendBody(idBytes(0), body)
				must(t, err)
				entry, err := r.Poll()
				must(t, err)
				equal(t, "body", entry.Body, body)
				r.Commit()
			}
		}
	}
	_, err = w.AppendBody(idBytes(0), make([]byte, 2049))
	equal(t, "too long", errors.Is(err, ErrInvalid) && strings.Contains(err.Error(), "2048"), true)
}

func TestWriterWakesASleeper(t *testing.T) {
	log, samples := sampleLog(t, Options{})
	w, err := log.Writer()
	must(t, err)
	defer w.Close()
	r, err := log.Reader(0)
	must(t, err)
	defer r.Close()
	r.Idle = time.Hour
	woken, long := make(chan error), inTime(t)
	go func() {
		_, err := r.Next(long)
		woken <- err
	}()
	until(t, "it sleeps", func() bool { return log.load(atSleepers)&1 == 1 })
	appendSamples(t, w, samples, 1)
	// It may just be about to sleep; then a wake can be lost.
	for {
		w.Wake()
		select {
		case err := <-woken:
			must(t, err)
		case <-time.After(10 * time.Millisecond):
			w.store(atSleepers, w.load(atSleepers)|1)
			continue
		}
		break
	}
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		_, err := r.Next(ctx)
		woken <- err
	}()
	until(t, "it sleeps", func() bool { return log.load(atSleepers)&1 == 1 })
	cancel()
	select {
	case err := <-woken:
		equal(t, "it ends", err, context.Canceled)
	case <-time.After(patience):
		t.Fatal("the end of its context does not wake it")
	}
}

func TestWritersAndReadersBearAnyBytes(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	files := []string{"page", "types", "lapped", "torn", "bodies-bytes", "bodies-around", "boot", "gates", "copy", "service.0.req"}
	words := []uint64{0, 1, 7, 8, 1 << 31, 1 << 62, 1<<62 - 1, 1 << 63, 1<<64 - 1, 1<<63 + 5, 64, 4096, 1 << 40}
	opened := 0
	for round := range 3000 {
		path, _ := vectorAt(t, files[round%len(files)], t.TempDir())
		bytes, err := os.ReadFile(path)
		must(t, err)
		for range 1 + random.IntN(6) {
			at := random.IntN(len(bytes)/8) * 8
			switch random.IntN(3) {
			case 0: // the pointers, the writer's and the readers' lines
				at = []int{0, atReadPtrs, atBoot, atSynced, atHorizon, atSleepers, atRoom, atReaders + inCheckpoints, atReaders + inTaken}[random.IntN(9)]
			case 1: // a slot
				at = headerSize + random.IntN((len(bytes)-headerSize)/8)*8
			}
			binary.LittleEndian.PutUint64(bytes[at:], words[random.IntN(len(words))]+uint64(random.IntN(3)))
		}
		must(t, os.WriteFile(path, bytes, 0o600))
		log, err := Open(path)
		if err != nil {
			continue
		}
		opened++
		poll := func(poll func() (Entry, error)) {
			for range 1000 {
				if _, err := poll(); errors.Is(err, ErrEmpty) {
					return
				}
			}
			t.Errorf("%s: it never ends", path)
		}
		observer, err := log.Observe(At(0))
		must(t, err)
		poll(observer.Poll)
		_, _ = observer.Latest()
		reader, err := log.Reader(0)
		must(t, err)
		poll(reader.Poll)
		reader.Commit()
		writer, err := log.Writer()
		must(t, err)
		for range 20 {
			_, _ = writer.AppendBody(make([]byte, log.Columns()), make([]byte, min(log.BodyMax(), 700)))
		}
		poll(observer.Poll)
		poll(reader.Poll)
		must(t, errors.Join(writer.Close(), reader.Close(), observer.Close(), log.Close()))
	}
	if opened < 1000 {
		t.Errorf("only %d could be opened", opened)
	}
}

type twice struct {
	Value uint32
	Ratio float32 `ringlog:"part"`
	_     [8]byte
}

func TestStructIsHeldAgainstTheLog(t *testing.T) {
	schema, err := SchemaOf[twice](NoBody)
	must(t, err)
	equal(t, "schema", schema.String(), "value u32 0\npart f32 4\n")
	equal(t, "size", schema.Size, 16)
	log, _ := sampleLog(t, Options{})
	_, err = For[twice](log)
	equal(t, "another struct", errors.Is(err, ErrInvalid) && strings.Contains(err.Error(), `column "time" is of type timestamp at byte 0`), true)
	type bad struct{ On bool }
	_, err = SchemaOf[bad](NoBody)
	equal(t, "a Go bool", errors.Is(err, ErrInvalid) && strings.Contains(err.Error(), "field On cannot be a column as bool"), true)
	_, err = For[int](log)
	equal(t, "no struct", errors.Is(err, ErrInvalid), true)
}

func TestLogIsMadeOnceAndAsAsked(t *testing.T) {
	schema, err := SchemaOf[sample](NoBody)
	must(t, err)
	name := shmName(t)
	log, err := Options{Capacity: 16}.OpenOrCreate(name, schema)
	must(t, err)
	must(t, log.Close())
	_, err = Options{}.Create(name, schema)
	equal(t, "again", errors.Is(err, ErrExists), true)
	_, err = Options{Capacity: 32}.OpenOrCreate(name, schema)
	equal(t, "another capacity", errors.Is(err, ErrInvalid) && strings.Contains(err.Error(), "its capacity is 16, and 32 was asked for"), true)
	other, err := SchemaOf[twice](NoBody)
	must(t, err)
	_, err = Options{}.OpenOrCreate(name, other)
	equal(t, "other columns", errors.Is(err, ErrInvalid), true)
	_, err = Options{Capacity: 3}.Create(name+"-3", schema)
	equal(t, "three slots", errors.Is(err, ErrInvalid), true)
	must(t, Remove(name))
	equal(t, "gone", errors.Is(Remove(name), ErrNotFound), true)
	_, err = Open(name)
	equal(t, "gone", errors.Is(err, ErrNotFound), true)

	path := filepath.Join(t.TempDir(), "log")
	log, err = Options{Mode: 0o640}.Create(path, schema)
	must(t, err)
	must(t, log.Close())
	stat, err := os.Stat(path)
	must(t, err)
	equal(t, "mode", stat.Mode().Perm(), os.FileMode(0o640))
	must(t, os.Symlink(path, path+".link"))
	_, err = Open(path + ".link")
	equal(t, "a link", errors.Is(err, ErrUnusable), true)
	_, err = Open(filepath.Dir(path))
	equal(t, "a directory", errors.Is(err, ErrUnusable), true)
}
