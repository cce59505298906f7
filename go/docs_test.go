package ringlog

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func TestEachBlockOfTheChapterCompiles(t *testing.T) {
	here, err := filepath.Abs(".")
	must(t, err)
	directory := t.TempDir()
	module := fmt.Sprintf("module chapter\n\ngo 1.23\n\nrequire ringlog v0.1.0\n\nreplace ringlog => %s\n", here)
	must(t, os.WriteFile(filepath.Join(directory, "go.mod"), []byte(module), 0o600))
	// Under names of this test's own.
	prefix := shmName(t) + "."
	text := read(t, "../docs/go.md")
	for _, name := range []string{"engine", "events", "orders", "upper"} {
		text = strings.ReplaceAll(text, `"/`+name+`"`, `"`+prefix+name+`"`)
	}
	blocks := strings.Split(text, "```go\n")[1:]
	for i, block := range blocks {
		block, _, _ = strings.Cut(block, "```")
		folder := filepath.Join(directory, fmt.Sprintf("block%d", i+1))
		must(t, os.Mkdir(folder, 0o700))
		must(t, os.WriteFile(filepath.Join(folder, "main.go"), []byte(block), 0o600))
	}
	programs := filepath.Join(directory, "programs")
	for _, arguments := range [][]string{{"vet", "./..."}, {"build", "-o", programs + "/", "./..."}} {
		command := exec.Command("go", arguments...)
		command.Dir, command.Env = directory, append(os.Environ(), "GOFLAGS=-mod=mod", "GOWORK=off", "GOPROXY=off")
		if said, err := command.CombinedOutput(); err != nil {
			t.Fatalf("go %v: %v\n%s", arguments, err, said)
		}
	}
	formatted, err := exec.Command("gofmt", "-l", directory).Output()
	must(t, err)
	equal(t, "blocks that gofmt would change", string(formatted), "")

	block := func(number int) *process {
		return begin(t, goProgram(filepath.Join(programs, fmt.Sprintf("block%d", number))))
	}
	ends := func(number int, says string) {
		t.Helper()
		p := block(number)
		if printed := p.end(); !strings.Contains(printed, says) || p.ProcessState.ExitCode() != 0 {
			t.Errorf("block %d says %q, and not %q: %s", number, printed, says, p.saidText())
		}
	}
	ends(1, "")
	ends(3, "price decimal4 189.4500 189.4500")
	reader := block(2)
	log, err := Open(prefix + "engine")
	must(t, err)
	defer log.Close()
	until(t, "the reader has committed", func() bool { return log.load(atReadPtrs+8) == 1 })
	_ = reader.Process.Signal(os.Interrupt)
	equal(t, "the reader", reader.end(), "0 AAPL 100\n")
	ends(4, "{AAPL [X Y]}")
	ends(5, "")
	block(6)
	ends(7, "A FEW WORDS")
}
