package ringlog

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// A test that needs a process of its own to kill runs this binary once more, which then does one of these.
var victims = map[string]func(arguments []string) error{}

func TestMain(m *testing.M) {
	if name, is := os.LookupEnv("RINGLOG_VICTIM"); is {
		if err := victims[name](os.Args[1:]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// patience is longer than anything that a test waits for.
const patience = 30 * time.Second

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func equal(t testing.TB, what string, is, wanted any) {
	t.Helper()
	if !reflect.DeepEqual(is, wanted) {
		t.Errorf("%s: it is\n\t%.2000s, and not\n\t%.2000s", what, show(is), show(wanted))
	}
}

// show follows pointers, which %v does not.
func show(of any) string {
	if list, is := of.([]event); is {
		var lines []string
		for _, it := range list {
			if it.Lost != nil {
				lines = append(lines, "lost "+fmt.Sprint(*it.Lost))
			} else {
				lines = append(lines, fmt.Sprint(it.Position, it.Fields))
			}
		}
		return strings.Join(lines, "\n\t")
	}
	return fmt.Sprintf("%+v", of)
}

func until(t testing.TB, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !is(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited in vain until %s", what)
		}
	}
}

func inTime(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	return ctx
}

var names atomic.Uint32

// shmName returns a name in shared memory for this test alone; whatever begins so is gone behind it.
func shmName(t testing.TB) string {
	name := fmt.Sprintf("/ringlog-go-%d-%d", os.Getpid(), names.Add(1))
	t.Cleanup(func() {
		files, _ := filepath.Glob("/dev/shm" + name + ".*") // of a service
		for _, file := range append(files, "/dev/shm"+name) {
			_ = os.Remove(file)
		}
	})
	return name
}

// sample is a record that each test knows from its position.
type sample struct {
	Time   int64 `ringlog:"time,timestamp"`
	Value  uint64
	Symbol [8]byte
}

func sampleAt(position uint64) (it sample) {
	it.Time, it.Value = int64(position)*1_000_000_001, position*position
	SetText(it.Symbol[:], fmt.Sprintf("S%d", position%1000))
	return it
}

func sampleLog(t testing.TB, options Options) (*Log, Typed[sample]) {
	t.Helper()
	schema, err := SchemaOf[sample](NoBody)
	must(t, err)
	log, err := options.Create(shmName(t), schema)
	must(t, err)
	t.Cleanup(func() { log.Close() })
	samples, err := For[sample](log)
	must(t, err)
	return log, samples
}

func appendSamples(t testing.TB, w *Writer, samples Typed[sample], count int) {
	t.Helper()
	for range count {
		it := sampleAt(w.Position())
		_, err := w.Append(samples.Bytes(&it))
		must(t, err)
	}
}

// programs is where the Rust programs are.
func programs(t testing.TB) string {
	directory := os.Getenv("RINGLOG_PROGRAMS")
	if directory == "" {
		directory = "../target/debug"
	}
	directory, err := filepath.Abs(directory)
	must(t, err)
	if _, err := os.Stat(filepath.Join(directory, "ringlog")); err != nil {
		fmt.Fprintf(os.Stderr, "SKIPPED: %s: %s has no programs; cargo build --bins makes them\n", t.Name(), directory)
		t.SkipNow()
	}
	return directory
}

// A process ends with its test.
type process struct {
	*exec.Cmd
	t       testing.TB
	mutex   sync.Mutex
	said    bytes.Buffer
	printed bytes.Buffer
	ended   chan struct{}
}

func (p *process) Write(text []byte) (int, error) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	return p.said.Write(text)
}

func (p *process) saidText() string {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	return p.said.String()
}

func begin(t testing.TB, command *exec.Cmd) *process {
	t.Helper()
	p := &process{Cmd: command, t: t, ended: make(chan struct{})}
	command.Stderr, command.Stdout = p, &p.printed
	command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	must(t, command.Start())
	go func() {
		_ = command.Wait()
		close(p.ended)
	}()
	t.Cleanup(p.kill)
	return p
}

// program begins a Rust program, in a directory.
func program(t testing.TB, directory, name string, arguments ...string) *process {
	t.Helper()
	command := exec.Command(filepath.Join(programs(t), name), arguments...)
	command.Dir = directory
	return begin(t, command)
}

// victim begins this binary, to do one thing.
func victim(t testing.TB, name string, arguments ...string) *process {
	t.Helper()
	binary, err := os.Executable()
	must(t, err)
	command := goProgram(binary, arguments...)
	command.Env = append(os.Environ(), "RINGLOG_VICTIM="+name)
	return begin(t, command)
}

// goProgram is a program that Go built, which may be another processor's.
func goProgram(path string, arguments ...string) *exec.Cmd {
	if runner := os.Getenv("RINGLOG_RUNNER"); runner != "" {
		return exec.Command(runner, append([]string{path}, arguments...)...)
	}
	return exec.Command(path, arguments...)
}

func (p *process) kill() {
	_ = p.Process.Kill()
	<-p.ended
}

func (p *process) stop() string {
	p.t.Helper()
	_ = p.Process.Signal(syscall.SIGTERM)
	return p.end()
}

// end waits for the end, and returns what was printed.
func (p *process) end() string {
	p.t.Helper()
	select {
	case <-p.ended:
	case <-time.After(patience):
		p.t.Fatalf("%v has not ended: %s", p.Args, p.saidText())
	}
	return p.printed.String()
}

func (p *process) until(text string) {
	p.t.Helper()
	until(p.t, fmt.Sprintf("%v says %q", p.Args, text), func() bool {
		select {
		case <-p.ended:
			if !strings.Contains(p.saidText(), text) {
				p.t.Fatalf("%v ended, and said: %s", p.Args, p.saidText())
			}
		default:
		}
		return strings.Contains(p.saidText(), text)
	})
}

// ringlog runs the program ringlog to its end, which must be a good one.
func ringlog(t testing.TB, arguments ...string) string {
	t.Helper()
	p := program(t, "", "ringlog", arguments...)
	printed := p.end()
	if code := p.ProcessState.ExitCode(); code != 0 {
		t.Fatalf("%v: code %d: %s%s", p.Args, code, printed, p.saidText())
	}
	return printed
}
