package ringlog

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

const testdata = "../testdata"

// vector is what NAME.json says: see testdata/README.md.
type vector struct {
	AnotherBoot bool `json:"another_boot"`
	Header      struct {
		LogID    string  `json:"log_id"`
		Created  uint64  `json:"created_ns"`
		Capacity uint64  `json:"capacity"`
		Slot     uint64  `json:"slot_size"`
		Entry    uint64  `json:"entry_size"`
		Arena    uint64  `json:"arena_size"`
		Inline   uint64  `json:"inline_size"`
		Gates    []int   `json:"gates"`
		Absent   uint64  `json:"absent"`
		Role     uint64  `json:"role"`
		Members  uint64  `json:"members"`
		Base     uint64  `json:"base"`
		Source   *string `json:"source_id"`
	}
	Schema  string
	Columns []struct {
		Name, Type string
		Offset     int
	}
	Body       *struct{ Name, Type string }
	End        uint64
	Limit      *uint64
	Unfinished *uint64
	Readers    []struct {
		ID                   int
		Position, Lost, Laps uint64
		Open                 bool
		LetOff               bool     `json:"let_off"`
		Taken                uint64   `json:"calls_taken"`
		Unfinished           []uint64 `json:"calls_open"`
	}
	Events []event
}

type event struct {
	Lost     *[2]uint64
	Position uint64
	Record   string
	Fields   []string
	Body     *string
}

// vectorAt copies a vector to where a test may change it, and returns its path there and what it says.
func vectorAt(t *testing.T, name, directory string) (string, vector) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(testdata, name+".json"))
	must(t, err)
	var says vector
	must(t, json.Unmarshal(text, &says))
	bytes, err := os.ReadFile(filepath.Join(testdata, name))
	must(t, err)
	if !says.AnotherBoot {
		binary.LittleEndian.PutUint64(bytes[atBoot:], bootID()[0])
		binary.LittleEndian.PutUint64(bytes[atBoot+8:], bootID()[1])
	}
	path := filepath.Join(directory, name)
	must(t, os.WriteFile(path, bytes, 0o600))
	return path, says
}

func vectorNames(t *testing.T) []string {
	files, err := filepath.Glob(testdata + "/*.json")
	must(t, err)
	var names []string
	for _, file := range files {
		log := strings.TrimSuffix(file, ".json")
		if _, err := os.Stat(log); err == nil {
			names = append(names, filepath.Base(log))
		}
	}
	if len(names) < 20 {
		t.Fatalf("only %d vectors in %s", len(names), testdata)
	}
	return names
}

// events returns what poll gives until there is nothing more, with losses that adjoin as one.
func events(t *testing.T, schema *Schema, poll func() (Entry, error)) (all []event) {
	for {
		entry, err := poll()
		var lost *LostError
		switch {
		case errors.Is(err, ErrEmpty):
			return all
		case errors.As(err, &lost):
			if last := len(all) - 1; last >= 0 && all[last].Lost != nil && all[last].Lost[1] == lost.From {
				all[last].Lost[1] = lost.To
				continue
			}
			all = append(all, event{Lost: &[2]uint64{lost.From, lost.To}})
			continue
		}
		must(t, err)
		it := event{Position: entry.Position, Record: base64.StdEncoding.EncodeToString(entry.Record), Fields: []string{}}
		for _, column := range schema.Columns {
			it.Fields = append(it.Fields, column.Format(entry.Record))
		}
		if schema.Body != NoBody {
			body := base64.StdEncoding.EncodeToString(entry.Body)
			it.Body = &body
		}
		all = append(all, it)
	}
}

// joined joins losses that adjoin.
func joined(of []event) (all []event) {
	for _, it := range of {
		if last := len(all) - 1; it.Lost != nil && last >= 0 && all[last].Lost != nil && all[last].Lost[1] == it.Lost[0] {
			all[last].Lost[1] = it.Lost[1]
			continue
		}
		all = append(all, it)
	}
	return all
}

func TestVectorsAreReadAsTheySay(t *testing.T) {
	for _, name := range vectorNames(t) {
		t.Run(name, func(t *testing.T) {
			path, says := vectorAt(t, name, t.TempDir())
			log, err := Open(path)
			must(t, err)
			defer log.Close()
			h, g := says.Header, log.Geometry()
			equal(t, "sizes", g, Geometry{h.Capacity, h.Slot, h.Entry, h.Inline, h.Arena})
			equal(t, "id", log.ID(), h.LogID)
			equal(t, "created", log.created, h.Created)
			equal(t, "gates", append([]int{}, log.Gates()...), h.Gates)
			equal(t, "the rest of the header", [4]uint64{log.absent, log.role, log.members, log.base}, [4]uint64{h.Absent, h.Role, h.Members, h.Base})
			equal(t, "schema", log.Schema().String(), says.Schema)
			for i, column := range says.Columns {
				it := log.Schema().Columns[i]
				equal(t, "column", Column{column.Name, it.Type, column.Offset}, it)
				equal(t, "type", it.Type.String(), column.Type)
			}
			if says.Body != nil {
				equal(t, "body", [2]string{log.Schema().BodyName, string(log.Schema().Body)}, [2]string{says.Body.Name, says.Body.Type})
			}
			equal(t, "end", log.end(), says.End)

			observer, err := log.Observe(At(0))
			must(t, err)
			defer observer.Close()
			equal(t, "events", events(t, log.Schema(), observer.Poll), joined(says.Events))
			unfinished := log.stamp(says.End) == writing|says.End
			equal(t, "unfinished", unfinished, says.Unfinished != nil && *says.Unfinished == says.End)
		})
	}
}

func TestReadersOfVectorsGoOnWhereTheyCommitted(t *testing.T) {
	for _, name := range vectorNames(t) {
		path, says := vectorAt(t, name, t.TempDir())
		log, err := Open(path)
		must(t, err)
		for _, it := range says.Readers {
			equal(t, name+": open", log.load(log.line(it.ID)+inState) == 1, it.Open)
			reader, err := log.Reader(it.ID)
			must(t, err)
			equal(t, name+": place", [3]uint64{reader.Position(), reader.lost, reader.laps}, [3]uint64{it.Position, it.Lost, it.Laps})
			equal(t, name+": notice", reader.Notice() != "", name == "wrong")
			equal(t, name+": let off", reader.load(reader.line(it.ID)+inWaived) == 1, it.LetOff)
			var from []event
			for _, it2 := range joined(says.Events) {
				switch {
				case it2.Lost == nil && it2.Position >= it.Position:
					from = append(from, it2)
				case it2.Lost != nil && it2.Lost[1] > it.Position:
					from = append(from, event{Lost: &[2]uint64{max(it2.Lost[0], it.Position), it2.Lost[1]}})
				}
			}
			equal(t, name+": events", events(t, log.Schema(), reader.Poll), from)
			before := reader.Lost()
			reader.Commit()
			must(t, reader.Close())
			again, err := log.Reader(it.ID)
			must(t, err)
			equal(t, name+": committed", [2]uint64{again.Position(), again.Lost()}, [2]uint64{says.End, before})
			equal(t, name+": notice behind a commit", again.Notice(), "")
			must(t, again.Close())
		}
		must(t, log.Close())
	}
}

func TestWritersOfVectorsGoOnBehindTheEnd(t *testing.T) {
	for _, name := range vectorNames(t) {
		path, says := vectorAt(t, name, t.TempDir())
		log, err := Open(path)
		must(t, err)
		observer, err := log.Observe(At(0))
		must(t, err)
		before := events(t, log.Schema(), observer.Poll)
		writer, err := log.Writer()
		must(t, err)
		equal(t, name+": position", writer.Position(), says.End)
		equal(t, name+": boot", log.isOfAnotherBoot(), false)
		if says.Limit != nil {
			_, err := writer.Append(make([]byte, log.Columns()))
			equal(t, name+": full", errors.Is(err, ErrFull), *says.Limit == says.End)
			equal(t, name+": limit", writer.limit, *says.Limit)
		}
		must(t, writer.Close())
		// What was there is there, but for the slot that the next entry will have.
		must(t, observer.Close())
		observer, err = log.Observe(At(0))
		must(t, err)
		after := events(t, log.Schema(), observer.Poll)
		if n := len(before); says.Limit == nil && n > 0 && !reflect.DeepEqual(before[n-1], after[len(after)-1]) {
			t.Errorf("%s: the last is %v, and was %v", name, after[len(after)-1], before[n-1])
		}
		must(t, observer.Close())
		must(t, log.Close())
	}
}

func TestWhatTheVectorsSayIsRefusedIsRefused(t *testing.T) {
	text, err := os.ReadFile(testdata + "/refused.json")
	must(t, err)
	var refused []struct {
		Why, Of string
		Store   []struct{ At, Word uint64 }
		Length  *int64
	}
	must(t, json.Unmarshal(text, &refused))
	for _, it := range refused {
		path, _ := vectorAt(t, it.Of, t.TempDir())
		bytes, err := os.ReadFile(path)
		must(t, err)
		for _, store := range it.Store {
			binary.LittleEndian.PutUint64(bytes[store.At:], store.Word)
		}
		must(t, os.WriteFile(path, bytes, 0o600))
		if it.Length != nil {
			must(t, os.Truncate(path, *it.Length))
		}
		log, err := Open(path)
		if err == nil {
			log.Close()
		}
		if !errors.Is(err, ErrUnusable) {
			t.Errorf("%s: %v", it.Why, err)
		}
	}
}
