package ringlog

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// What stands here runs against the Rust programs.

func init() {
	// carry READER LOG FILE: writes the rows of a log to a file as CSV without its header, a commit behind each write.
	victims["carry"] = func(arguments []string) error {
		log, err := Open(arguments[1])
		if err != nil {
			return err
		}
		id, _ := strconv.Atoi(arguments[0])
		r, err := log.Reader(id)
		if err != nil {
			return err
		}
		file, err := os.OpenFile(arguments[2], os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
		if err != nil {
			return err
		}
		fmt.Fprintln(os.Stderr, "reads from", r.Position())
		rows := bufio.NewWriterSize(file, 1<<20)
		for {
			entry, err := r.Poll()
			var lost *LostError
			switch {
			case err == nil:
				_, _ = rows.WriteString(row(log.Schema(), entry))
			case errors.As(err, &lost):
				fmt.Fprintln(os.Stderr, err)
			default:
				if err := rows.Flush(); err != nil {
					return err
				}
				r.Commit()
				r.sleep(context.Background())
			}
			if rows.Buffered() > 1<<19 {
				if err := rows.Flush(); err != nil {
					return err
				}
				r.Commit()
			}
		}
	}
	// feed LOG RATE: appends samples, and wakes.
	victims["feed"] = func(arguments []string) error {
		log, err := Open(arguments[0])
		if err != nil {
			return err
		}
		samples, err := For[sample](log)
		if err != nil {
			return err
		}
		w, err := log.Writer()
		if err != nil {
			return err
		}
		rate, _ := strconv.Atoi(arguments[1])
		fmt.Fprintln(os.Stderr, "writes from", w.Position())
		begin, first := time.Now(), w.Position()
		for {
			due := first + uint64(time.Since(begin).Seconds()*float64(rate))
			for w.Position() < due {
				it := sampleAt(w.Position())
				if _, err := w.AppendWait(context.Background(), samples.Bytes(&it), nil); err != nil {
					return err
				}
			}
			w.Wake()
			time.Sleep(200 * time.Microsecond)
		}
	}
}

// row is an entry as the stock reporter writes it, of columns that need no quotes.
func row(schema *Schema, entry Entry) string {
	fields := []string{strconv.FormatUint(entry.Position, 10)}
	for _, column := range schema.Columns {
		fields = append(fields, column.Format(entry.Record))
	}
	return strings.Join(fields, ",") + "\n"
}

func read(t testing.TB, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	must(t, err)
	return string(text)
}

// reported runs `reporter ID --once`, and returns its output's rows.
func reported(t testing.TB, directory, name string, id int, arguments ...string) string {
	t.Helper()
	arguments = append([]string{strconv.Itoa(id), "--shm", name, "--once", "--strict"}, arguments...)
	p := program(t, directory, "reporter", arguments...)
	p.end()
	if code := p.ProcessState.ExitCode(); code != 0 {
		t.Fatalf("%v: code %d: %s", p.Args, code, p.saidText())
	}
	text := read(t, filepath.Join(directory, fmt.Sprintf("output_%d.csv", id)))
	_, rows, _ := strings.Cut(text, "\n")
	return rows
}

// assertOnce asserts that rows are there from the first position to below the end; those that came again are taken out.
func assertOnce(t testing.TB, rows string, end uint64) string {
	t.Helper()
	var once strings.Builder
	next := uint64(0)
	for _, line := range strings.SplitAfter(rows, "\n") {
		digits, _, _ := strings.Cut(line, ",")
		position, err := strconv.ParseUint(digits, 10, 64)
		if !strings.HasSuffix(line, "\n") || err != nil || position > next {
			if line != "" && strings.HasSuffix(line, "\n") {
				t.Fatalf("behind position %d comes %q", next, line)
			}
			continue // cut by a kill; it comes again
		}
		if position == next {
			once.WriteString(line)
			next++
		}
	}
	equal(t, "rows", next, end)
	return once.String()
}

func TestRustWriterAtFullRateIsFollowedWithoutLoss(t *testing.T) {
	name, directory := shmName(t), t.TempDir()
	writer := program(t, directory, "writer", "--shm", name, "--rate", "200000", "--count", "300000", "--capacity", "512k")
	until(t, "there is a log", func() bool { _, err := Open(name); return err == nil })
	log, err := Open(name)
	must(t, err)
	defer log.Close()
	r, err := log.Reader(5)
	must(t, err)
	defer r.Close()
	refused := program(t, directory, "reporter", "5", "--shm", name, "--once")
	refused.end()
	equal(t, "the reporter cannot be reader 5 too", refused.ProcessState.ExitCode(), 4)
	refused = program(t, directory, "writer", "--shm", name, "--count", "1")
	refused.end()
	equal(t, "nor is there a second writer", refused.ProcessState.ExitCode(), 4)
	_, err = log.Writer()
	equal(t, "nor one of ours", errors.Is(err, ErrClaimed), true)

	var rows strings.Builder
	for entry, err := range r.All(inTime(t)) {
		must(t, err)
		rows.WriteString(row(log.Schema(), entry))
		if entry.Position == 299_999 {
			break
		}
	}
	r.Commit()
	writer.end()
	assertOnce(t, rows.String(), 300_000)
	if _, dumped, _ := strings.Cut(ringlog(t, "dump", name), "\n"); rows.String() != dumped {
		t.Error("the rows are others than those of ringlog dump")
	}
}

func TestReadersGoOnWhereTheOthersStopped(t *testing.T) {
	log, samples := sampleLog(t, Options{Capacity: 1024})
	directory := t.TempDir()
	w, err := log.Writer()
	must(t, err)
	defer w.Close()
	appendSamples(t, w, samples, 100)
	rows := reported(t, directory, log.Name(), 1)
	equal(t, "the reporter has", strings.Count(rows, "\n"), 100)
	appendSamples(t, w, samples, 100)
	r, err := log.Reader(1)
	must(t, err)
	equal(t, "we go on at", r.Position(), uint64(100))
	refused := program(t, directory, "reporter", "1", "--shm", log.Name(), "--once")
	refused.end()
	equal(t, "claimed by us", refused.ProcessState.ExitCode(), 4)
	for range 50 {
		_, err := r.Poll()
		must(t, err)
	}
	r.Commit()
	appendSamples(t, w, samples, 1500) // it will lose 150..676
	must(t, r.Close())
	p := program(t, t.TempDir(), "reporter", "1", "--shm", log.Name(), "--once")
	p.end()
	if !strings.Contains(p.saidText(), "lost 150..676, 526 entries") {
		t.Errorf("the reporter says: %s", p.saidText())
	}
	r, err = log.Reader(1)
	must(t, err)
	defer r.Close()
	equal(t, "and we again", [2]uint64{r.Position(), r.Lost()}, [2]uint64{1700, 526})
	ringlog(t, "verify", log.Name())
}

func TestRowsOfAKilledGoReaderAreAllThere(t *testing.T) {
	name, directory := shmName(t), t.TempDir()
	writer := program(t, directory, "writer", "--shm", name, "--rate", "200000", "--capacity", "1M")
	until(t, "there is a log", func() bool { _, err := Open(name); return err == nil })
	random := rand.New(rand.NewPCG(3, 4))
	output := filepath.Join(directory, "rows")
	for range 15 {
		reader := victim(t, "carry", "0", name, output)
		reader.until("reads from")
		time.Sleep(time.Duration(random.IntN(60)) * time.Millisecond)
		reader.kill()
	}
	writer.stop()
	reader := victim(t, "carry", "0", name, output)
	log, err := Open(name)
	must(t, err)
	defer log.Close()
	end := log.end()
	until(t, "all is carried", func() bool { return log.load(atReadPtrs) == end })
	reader.kill()
	if rows := assertOnce(t, read(t, output), end); rows != reported(t, directory, name, 1) {
		t.Error("the rows are others than the reporter's")
	}
	ringlog(t, "verify", name)
}

func TestReaderStaysWhileARustWriterIsKilled(t *testing.T) {
	name, directory := shmName(t), t.TempDir()
	write := func() *process {
		return program(t, directory, "writer", "--shm", name, "--rate", "100000", "--capacity", "1M")
	}
	writer := write()
	until(t, "there is a log", func() bool { _, err := Open(name); return err == nil })
	log, err := Open(name)
	must(t, err)
	defer log.Close()
	r, err := log.Reader(0)
	must(t, err)
	defer r.Close()
	random := rand.New(rand.NewPCG(5, 6))
	next := uint64(0)
	for range 10 {
		until := next + 2000 + uint64(random.IntN(5000))
		for entry, err := range r.All(inTime(t)) {
			must(t, err)
			if entry.Position != next {
				t.Fatalf("%d comes behind %d", entry.Position, next)
			}
			if next++; next == until {
				break
			}
		}
		writer.kill()
		writer = write()
	}
	ringlog(t, "verify", name)
}

func TestKilledGoWriterHasLostNothing(t *testing.T) {
	for _, options := range []Options{{Capacity: 1 << 20}, {Capacity: 1024, Gates: []int{0}}} {
		log, _ := sampleLog(t, options)
		directory := t.TempDir()
		reporter := program(t, directory, "reporter", "0", "--shm", log.Name(), "--idle", "block")
		reporter.until(", from ")
		random := rand.New(rand.NewPCG(7, 8))
		for range 15 {
			before := log.end()
			writer := victim(t, "feed", log.Name(), "100000")
			until(t, "it appends", func() bool { return log.end() > before+100 })
			time.Sleep(time.Duration(random.IntN(20000)) * time.Microsecond)
			writer.kill()
		}
		end := log.end()
		until(t, "all is carried", func() bool { return log.load(atReadPtrs) == end })
		said := reporter.stop() + reporter.saidText()
		if strings.Contains(said, ": lost ") {
			t.Errorf("the reporter says: %s", said)
		}
		_, rows, _ := strings.Cut(read(t, filepath.Join(directory, "output_0.csv")), "\n")
		assertOnce(t, rows, end)
		lines := strings.Split(rows, "\n")
		for position := uint64(0); position < end; position += 997 {
			it := sampleAt(position)
			if wanted := fmt.Sprintf("%d,%d,%d,%s", position, it.Time, it.Value, TextOf(it.Symbol[:])); lines[position] != wanted {
				t.Fatalf("row %q is not %q", lines[position], wanted)
			}
		}
		ringlog(t, "verify", log.Name(), "--against", filepath.Join(directory, "output_0.csv"))
	}
}

func TestRustReadsTheBodiesThatGoWrote(t *testing.T) {
	schema, err := SchemaOf[id](JSONBody)
	must(t, err)
	log, err := Options{Capacity: 64, Inline: 24, Arena: 64 << 10}.Create(shmName(t), schema)
	must(t, err)
	defer log.Close()
	w, err := log.Writer()
	must(t, err)
	var wanted []string
	for i := range uint64(40) {
		body := fmt.Sprintf(`{"i":%d,"text":"%s"}`, i, strings.Repeat("x", int(i*i)))
		_, err := w.AppendBody(idBytes(i), []byte(body))
		must(t, err)
		wanted = append(wanted, fmt.Sprintf(`{"seq":%d,"id":%d,"body":%s}`, i, i, body))
	}
	must(t, w.Close())
	dumped := strings.Split(strings.TrimSpace(ringlog(t, "dump", log.Name(), "-o", "jsonl")), "\n")
	equal(t, "rows", dumped, wanted)
	ringlog(t, "verify", log.Name())
	// A Rust writer goes on behind them, in the same arena.
	directory := t.TempDir()
	must(t, os.WriteFile(filepath.Join(directory, "more"), []byte("id,body\n40,\"\"\""+strings.Repeat("y", 3000)+"\"\"\"\n"), 0o600))
	p := program(t, directory, "writer", "--shm", log.Name(), "--input", "more")
	p.end()
	o, err := log.Observe(At(39))
	must(t, err)
	defer o.Close()
	entry, err := o.Poll()
	must(t, err)
	equal(t, "ours", strings.HasPrefix(string(entry.Body), `{"i":39,`), true)
	entry, err = o.Poll()
	must(t, err)
	equal(t, "theirs", string(entry.Body), `"`+strings.Repeat("y", 3000)+`"`)
	ringlog(t, "verify", log.Name())
}

func TestRustGateHoldsUpAGoWriter(t *testing.T) {
	log, _ := sampleLog(t, Options{Capacity: 256, Gates: []int{0}})
	writer := victim(t, "feed", log.Name(), "50000")
	until(t, "it waits", func() bool { return log.load(atWaitingFor) == 1 })
	equal(t, "at the limit", log.end(), uint64(256))
	if said := ringlog(t, "stat", log.Name()); !strings.Contains(said, "waits for reader 0") {
		t.Errorf("ringlog stat does not say so: %s", said)
	}
	directory := t.TempDir()
	reporter := program(t, directory, "reporter", "0", "--shm", log.Name(), "--idle", "block")
	until(t, "it goes on", func() bool { return log.end() > 20_000 })
	writer.kill()
	end := log.end()
	until(t, "all is carried", func() bool { return log.load(atReadPtrs) == end })
	reporter.stop()
	_, rows, _ := strings.Cut(read(t, filepath.Join(directory, "output_0.csv")), "\n")
	assertOnce(t, rows, end)
}

func TestGoGateHoldsUpARustWriter(t *testing.T) {
	name, directory := shmName(t), t.TempDir()
	writer := program(t, directory, "writer", "--shm", name, "--rate", "max", "--count", "100000", "--capacity", "256", "--wait-for", "3")
	until(t, "there is a log", func() bool { _, err := Open(name); return err == nil })
	log, err := Open(name)
	must(t, err)
	defer log.Close()
	r, err := log.Reader(3)
	must(t, err)
	defer r.Close()
	equal(t, "a gate", r.IsGate(), true)
	next := uint64(0)
	for entry, err := range r.All(inTime(t)) {
		must(t, err)
		if entry.Position != next {
			t.Fatalf("%d comes behind %d", entry.Position, next)
		}
		if next++; next == 100_000 {
			break
		}
	}
	writer.end()
}
