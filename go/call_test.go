package ringlog

import (
	"bytes"
	"context"
	"encoding/binary"
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

const (
	methodUpper = 1 // answers in capitals
	methodFail  = 2
	methodPanic = 3
	methodSleep = 4 // for as many milliseconds as it is told
	methodLong  = 5 // answers as many bytes as it is told
	methodNote  = 6 // appends a line to a file, and answers it
)

// handle is the handler of all tests. Notes go to a file.
func handle(notes *os.File) Handler {
	return func(ctx context.Context, request *Request) ([]byte, error) {
		number, _ := strconv.Atoi(string(request.Body))
		switch request.Method {
		case methodUpper:
			return bytes.ToUpper(request.Body), nil
		case methodFail:
			return nil, fmt.Errorf("cannot: %s", request.Body)
		case methodPanic:
			panic(string(request.Body))
		case methodSleep:
			select {
			case <-ctx.Done():
				return nil, ctx.Err()
			case <-time.After(time.Duration(number) * time.Millisecond):
			}
			return []byte("slept"), nil
		case methodLong:
			return long(number), nil
		case methodNote:
			if _, err := notes.Write(append(bytes.Clone(request.Body), '\n')); err != nil {
				return nil, err
			}
			return request.Body, nil
		}
		return nil, ErrNoMethod
	}
}

func long(length int) []byte {
	body := make([]byte, length)
	for i := range body {
		body[i] = byte(i * 7 >> 3)
	}
	return body
}

func init() {
	// serve NAME NOTES: serves until it is killed, or stopped.
	victims["serve"] = func(arguments []string) error {
		notes, err := os.OpenFile(arguments[1], os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
		if err != nil {
			return err
		}
		var s *Service
		for range 1000 { // until the one before is quite dead
			if s, err = Serve(arguments[0], ServiceOptions{}); !errors.Is(err, ErrClaimed) {
				break
			}
			time.Sleep(time.Millisecond)
		}
		if err != nil {
			return err
		}
		fmt.Fprintln(os.Stderr, "serves")
		return s.Run(context.Background(), handle(notes))
	}
	// call NAME FROM ENDS: calls methodNote with numbers from a number on, and says how each ended.
	victims["call"] = func(arguments []string) error {
		ends, err := os.OpenFile(arguments[2], os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
		if err != nil {
			return err
		}
		client, err := ClientOptions{Outlast: true}.Dial(context.Background(), arguments[0])
		if err != nil {
			return err
		}
		number, _ := strconv.Atoi(arguments[1])
		for ; ; number++ {
			body := strconv.Itoa(number)
			ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
			answer, err := client.Call(ctx, methodNote, []byte(body))
			cancel()
			switch {
			case err == nil && string(answer) == body:
				fmt.Fprintln(ends, "answered", body)
			case errors.Is(err, ErrInterrupted):
				fmt.Fprintln(ends, "interrupted", body)
			default:
				fmt.Fprintln(ends, "wrong", body, err)
			}
		}
	}
}

// served serves in this process until the test ends, and returns the name.
func served(t *testing.T, o ServiceOptions) string {
	t.Helper()
	name := shmName(t)
	s, err := Serve(name, o)
	must(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() { ended <- s.Run(ctx, handle(nil)) }()
	t.Cleanup(func() {
		cancel()
		must(t, <-ended)
		must(t, s.Close())
	})
	return name
}

func TestCallsEndAsTheirHandlersDo(t *testing.T) {
	for _, o := range []ServiceOptions{{}, {Workers: 3}, {Arena: 4096}} {
		client, err := Dial(inTime(t), served(t, o))
		must(t, err)
		answer, err := client.Call(inTime(t), methodUpper, []byte("a few words"))
		must(t, err)
		equal(t, "answer", string(answer), "A FEW WORDS")
		var failed *FailedError
		_, err = client.Call(inTime(t), methodFail, []byte("it"))
		equal(t, "failed", errors.As(err, &failed) && string(failed.Text) == "cannot: it", true)
		_, err = client.Call(inTime(t), methodPanic, []byte("it"))
		equal(t, "panicked", errors.Is(err, ErrPanicked), true)
		_, err = client.Call(inTime(t), 99, nil)
		equal(t, "no method", errors.Is(err, ErrNoMethod), true)
		for _, length := range []int{0, 1, 71, 72, 73, 2048, 2049, 10_000, 3 << 20} {
			answer, err := client.Call(inTime(t), methodLong, []byte(strconv.Itoa(length)))
			must(t, err)
			equal(t, "a long answer", bytes.Equal(answer, long(length)), true)
			answer, err = client.Call(inTime(t), methodUpper, long(length))
			must(t, err)
			equal(t, "a long request", bytes.Equal(answer, bytes.ToUpper(long(length))), true)
		}
		short, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
		_, err = client.Call(short, methodSleep, []byte("100"))
		cancel()
		equal(t, "in time", errors.Is(err, context.DeadlineExceeded), true)
		answer, err = client.Call(inTime(t), methodUpper, []byte("the next has its own answer"))
		must(t, err)
		equal(t, "answer", string(answer), "THE NEXT HAS ITS OWN ANSWER")
		must(t, client.Close())
		_, err = client.Call(inTime(t), methodUpper, nil)
		equal(t, "closed", err, ErrClosed)
	}
}

func TestAnswersComeInAnyOrderAndManyAreUnderWay(t *testing.T) {
	client, err := Dial(inTime(t), served(t, ServiceOptions{Workers: 4}))
	must(t, err)
	defer client.Close()
	slow, err := client.Send(inTime(t), methodSleep, []byte("100"))
	must(t, err)
	tickets := map[Ticket]string{}
	for i := range 200 {
		body := strconv.Itoa(i)
		ticket, err := client.Send(inTime(t), methodUpper, []byte(body))
		must(t, err)
		tickets[ticket] = body
	}
	for ticket, body := range tickets {
		answer, err := client.Wait(inTime(t), ticket)
		must(t, err)
		equal(t, "answer", string(answer), body)
	}
	answer, err := client.Wait(inTime(t), slow)
	must(t, err)
	equal(t, "the slow one", string(answer), "slept")
	_, err = client.Wait(inTime(t), slow)
	equal(t, "once", errors.Is(err, ErrInvalid), true)
}

func TestClientThatTakesNoAnswersHoldsUpNobody(t *testing.T) {
	name := served(t, ServiceOptions{Arena: 4096})
	lazy, err := Dial(inTime(t), name)
	must(t, err)
	client, err := Dial(inTime(t), name)
	must(t, err)
	defer client.Close()
	record := (&asked{method: methodLong, client: lazy.client}).bytes()
	for range 64 {
		_, err := lazy.requests.AppendBody(record[:], []byte("2000"))
		must(t, err)
	}
	lazy.requests.Wake()
	for range 100 {
		_, err := client.Call(inTime(t), methodUpper, []byte("x"))
		must(t, err)
	}
	// Its lane is the next client's, which gets its own answers.
	must(t, lazy.Close())
	next, err := Dial(inTime(t), name)
	must(t, err)
	defer next.Close()
	answer, err := next.Call(inTime(t), methodUpper, []byte("mine"))
	must(t, err)
	equal(t, "answer", string(answer), "MINE")
}

func TestServiceSaysWhatIsWrongWithIt(t *testing.T) {
	name := shmName(t)
	soon, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancel()
	_, err := Dial(soon, name)
	equal(t, "nobody", errors.Is(err, ErrNotFound), true)
	s, err := Serve(name, ServiceOptions{Lanes: 1})
	must(t, err)
	_, err = Serve(name, ServiceOptions{})
	equal(t, "a second server", errors.Is(err, ErrClaimed), true)
	_, err = Serve(name, ServiceOptions{Lanes: 2})
	equal(t, "other lanes", errors.Is(err, ErrInvalid), true)
	client, err := Dial(inTime(t), name)
	must(t, err)
	_, err = Dial(soon, name)
	equal(t, "no lane", errors.Is(err, ErrBusy), true)
	must(t, s.Close())
	_, err = client.Call(inTime(t), methodUpper, nil)
	equal(t, "gone", err, ErrGone)
	must(t, client.Close())
	_, err = Dial(soon, name)
	equal(t, "gone", errors.Is(err, ErrGone), true)
	_, err = Serve(name, ServiceOptions{Body: JSONBody})
	equal(t, "other bodies", errors.Is(err, ErrInvalid), true)
	log, _ := sampleLog(t, Options{})
	_, err = Dial(soon, log.Name())
	equal(t, "no service", errors.Is(err, ErrInvalid), true)
	_, err = Serve(log.Name(), ServiceOptions{})
	equal(t, "no service", errors.Is(err, ErrInvalid), true)
}

func TestLaneOfTheVectorsIsServedOn(t *testing.T) {
	for _, repeat := range []bool{false, true} {
		directory := t.TempDir()
		path, _ := vectorAt(t, "service", directory)
		requests, _ := vectorAt(t, "service.0.req", directory)
		vectorAt(t, "service.0.rep", directory)
		// The client lives, as far as the server can see.
		log, err := Open(requests)
		must(t, err)
		claim, err := log.claim(atWritePtr, "client")
		must(t, err)
		s, err := Serve(path, ServiceOptions{Repeat: repeat})
		must(t, err)
		ctx, cancel := context.WithCancel(context.Background())
		ended := make(chan error)
		go func() { ended <- s.Run(ctx, handle(nil)) }()
		answers, err := Open(filepath.Join(directory, "service.0.rep"))
		must(t, err)
		o, err := answers.Observe(At(2))
		must(t, err)
		var got []string
		for len(got) < 2 {
			entry, err := o.Next(inTime(t))
			must(t, err)
			it := answeredOf(entry.Record)
			got = append(got, fmt.Sprint(it.request, it.status, len(entry.Body)))
		}
		interrupted := "2 2 0"
		if repeat {
			interrupted = "2 0 1500"
		}
		equal(t, "answers", got, []string{interrupted, "3 0 9"})
		cancel()
		must(t, <-ended)
		claim.free()
		must(t, errors.Join(s.Close(), o.Close(), answers.Close(), log.Close()))
	}
}

func TestNoCallIsRunTwiceWhoeverIsKilled(t *testing.T) {
	name, directory := shmName(t), t.TempDir()
	notes, ends := filepath.Join(directory, "notes"), filepath.Join(directory, "ends")
	random := rand.New(rand.NewPCG(9, 10))
	// Each server is another one than the one before, as often as not.
	serve := func() *process {
		if random.IntN(2) == 0 {
			return victim(t, "serve", name, notes)
		}
		return program(t, directory, "ringlog", "serve", name, "--exec", `b=$(cat); echo "$b" >> notes; printf %s "$b"`)
	}
	from := 0
	call := func() *process {
		from += 1_000_000
		return victim(t, "call", name, strconv.Itoa(from), ends)
	}
	server := serve()
	server.until("serves")
	clients := []*process{call(), call(), call()}
	lines := func(path string) []string {
		text, _ := os.ReadFile(path)
		return strings.Split(strings.TrimSpace(string(text)), "\n")
	}
	for range 40 {
		before := len(lines(ends))
		until(t, "some are answered", func() bool { return len(lines(ends)) > before+20 })
		time.Sleep(time.Duration(random.IntN(2000)) * time.Microsecond)
		if random.IntN(2) == 0 {
			server.kill()
			server = serve()
		} else {
			victim := random.IntN(len(clients))
			clients[victim].kill()
			clients[victim] = call()
		}
	}
	for _, client := range clients {
		client.kill()
	}
	server.kill()
	run := map[string]int{}
	for _, line := range lines(notes) {
		run[line]++
	}
	for number, times := range run {
		// A command whose server is killed before it has sent the body gets none.
		if times > 1 && number != "" {
			t.Errorf("%s was run %d times", number, times)
		}
	}
	interrupted := 0
	for _, line := range lines(ends) {
		how, number, _ := strings.Cut(line, " ")
		switch {
		case how == "answered" && run[number] == 1:
		case how == "interrupted":
			interrupted++
		default:
			t.Errorf("%q, and it was run %d times", line, run[number])
		}
	}
	t.Logf("%d run, %d ended, %d interrupted", len(run), len(lines(ends)), interrupted)
}

func TestRustCallsAGoServer(t *testing.T) {
	name := served(t, ServiceOptions{})
	for range 3 {
		equal(t, "answer", ringlog(t, "call", name, "--method", "1", "--body", "a few words"), "A FEW WORDS")
	}
	refused := program(t, "", "ringlog", "call", name, "--method", "2", "--body", "it")
	refused.end()
	if !strings.Contains(refused.saidText(), "cannot: it") {
		t.Errorf("ringlog call says: %s", refused.saidText())
	}
	refused = program(t, "", "ringlog", "call", name, "--method", "99")
	refused.end()
	if !strings.Contains(refused.saidText(), "no such method") {
		t.Errorf("ringlog call says: %s", refused.saidText())
	}
	refused = program(t, "", "ringlog", "call", name, "--method", "4", "--body", "1000", "--timeout", "50ms")
	refused.end()
	equal(t, "in time", refused.ProcessState.ExitCode(), 8)
	file := filepath.Join(t.TempDir(), "long")
	must(t, os.WriteFile(file, bytes.Repeat([]byte("long "), 1<<20), 0o600))
	equal(t, "a long one", ringlog(t, "call", name, "--method", "1", "--file", file, "--timeout", "20s"), strings.Repeat("LONG ", 1<<20))
	if said := ringlog(t, "stat", name); !strings.Contains(said, "served") {
		t.Logf("ringlog stat says: %s", said)
	}
}

func TestGoCallsARustServer(t *testing.T) {
	name := shmName(t)
	serve := func() *process {
		server := program(t, "", "ringlog", "serve", name, "--exec",
			"case $RINGLOG_METHOD in 1) tr a-z A-Z;; 2) echo \"cannot: $(cat)\" >&2; exit 3;; *) exec sleep 5;; esac", "--workers", "2")
		server.until("serves")
		return server
	}
	server := serve()
	client, err := ClientOptions{Outlast: true, Timed: true}.Dial(inTime(t), name)
	must(t, err)
	defer client.Close()
	answer, err := client.Call(inTime(t), methodUpper, []byte("a few words"))
	must(t, err)
	equal(t, "answer", string(answer), "A FEW WORDS")
	var failed *FailedError
	_, err = client.Call(inTime(t), methodFail, []byte("it"))
	equal(t, "failed", errors.As(err, &failed) && strings.Contains(string(failed.Text), "cannot: it"), true)
	longest := bytes.Repeat([]byte("long "), 1<<19)
	answer, err = client.Call(inTime(t), methodUpper, longest)
	must(t, err)
	equal(t, "a long one", bytes.Equal(answer, bytes.ToUpper(longest)), true)

	// It dies over one, and the next tells.
	ticket, err := client.Send(inTime(t), methodSleep, nil)
	must(t, err)
	line := client.requests.line(0)
	until(t, "it is begun", func() bool { return client.requests.load(line+inTaken) > uint64(ticket) })
	server.kill()
	other, err := client.Send(inTime(t), methodUpper, []byte("what it had not begun is run"))
	must(t, err)
	serve()
	_, err = client.Wait(inTime(t), ticket)
	equal(t, "interrupted", err, ErrInterrupted)
	answer, err = client.Wait(inTime(t), other)
	must(t, err)
	equal(t, "answer", string(answer), "WHAT IT HAD NOT BEGUN IS RUN")
}

func TestServersTakeOverFromEachOther(t *testing.T) {
	name, directory := shmName(t), t.TempDir()
	ours := victim(t, "serve", name, filepath.Join(directory, "notes"))
	ours.until("serves")
	client, err := ClientOptions{Outlast: true}.Dial(inTime(t), name)
	must(t, err)
	defer client.Close()
	ticket, err := client.Send(inTime(t), methodSleep, []byte("10000"))
	must(t, err)
	line := client.requests.line(0)
	until(t, "it is begun", func() bool { return client.requests.load(line+inTaken) > uint64(ticket) })
	ours.kill()
	theirs := program(t, directory, "ringlog", "serve", name, "--echo")
	theirs.until("serves")
	_, err = client.Wait(inTime(t), ticket)
	equal(t, "the Rust server says what ours died over", err, ErrInterrupted)
	answer, err := client.Call(inTime(t), methodUpper, []byte("echo"))
	must(t, err)
	equal(t, "answer", string(answer), "echo")
	theirs.kill()
	victim(t, "serve", name, filepath.Join(directory, "notes")).until("serves")
	answer, err = client.Call(inTime(t), methodUpper, []byte("ours"))
	must(t, err)
	equal(t, "answer", string(answer), "OURS")
}

func TestRequestThatIsLateIsNotRun(t *testing.T) {
	name := shmName(t)
	s, err := Serve(name, ServiceOptions{})
	must(t, err)
	client, err := Dial(inTime(t), name)
	must(t, err)
	defer client.Close()
	short, cancel := context.WithTimeout(context.Background(), time.Millisecond)
	defer cancel()
	ticket, err := client.Send(short, methodUpper, nil)
	must(t, err)
	time.Sleep(2 * time.Millisecond)
	ran := false
	done, stop := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() {
		ended <- s.Run(done, func(context.Context, *Request) ([]byte, error) {
			ran = true
			return nil, nil
		})
	}()
	_, err = client.Wait(inTime(t), ticket)
	equal(t, "expired", errors.Is(err, ErrExpired) && errors.Is(err, context.DeadlineExceeded), true)
	stop()
	must(t, <-ended)
	equal(t, "not run", ran, false)
	must(t, s.Close())
}

func TestBytesOfCallsAreAsDocumented(t *testing.T) {
	record := (&asked{1, 2, 3, 4, 5, 6}).bytes()
	equal(t, "request", askedOf(record[:]), asked{1, 2, 3, 4, 5, 6})
	equal(t, "method", binary.LittleEndian.Uint32(record[24:]), uint32(4))
	answer := (&answered{1, 2, 3, 4}).bytes()
	equal(t, "answer", answeredOf(answer[:]), answered{1, 2, 3, 4})
}
