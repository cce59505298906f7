// Figures prints what appends, polls and calls cost in Go, beside the same in Rust.
//
//	scripts/bindings-go bench        wants two cores to itself
//
// Each line is a ratio of two loops that took turns in one run: the median of all turns, with the least and the largest
// beside it. Times are medians too. Records have 56 bytes, bodies of calls 72.
package main

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"time"

	"ringlog"
)

const (
	slots  = 1 << 14
	passes = 2 // over the log, in a turn, which is so short that it is seldom interrupted
)

type sample struct{ A, B, C, D, E, F, G uint64 }

// set does not store the struct as a whole: the words of that would have to be waited for.
func (s *sample) set(position uint64) {
	s.A, s.B, s.C, s.D = position, position+1<<24, position+2<<24, position+3<<24
	s.E, s.F, s.G = position+4<<24, position+5<<24, position+6<<24
}

func main() {
	beside := flag.String("beside", "", "the program that does the same in Rust: the example `beside` of ringlog-call")
	turns := flag.Int("turns", 101, "how many turns each side takes")
	serve := flag.String("serve", "", "answer calls to this service with what was sent, until killed")
	flag.Parse()
	var err error
	if *serve != "" {
		err = echo(*serve)
	} else {
		err = figures(*beside, *turns)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "figures:", err)
		os.Exit(1)
	}
}

func echo(service string) error {
	s, err := ringlog.Serve(service, ringlog.ServiceOptions{})
	if err != nil {
		return err
	}
	fmt.Println("serves")
	return s.Run(context.Background(), func(_ context.Context, request *ringlog.Request) ([]byte, error) {
		return request.Body, nil
	})
}

// rust is the other side: a line there, and the time that it took back.
type rust struct {
	to   io.Writer
	from *bufio.Scanner
}

// begin begins a program that is killed when this one ends.
func begin(program string, arguments ...string) (rust, func(), error) {
	command := exec.Command(program, arguments...)
	command.Stderr = os.Stderr
	to, err := command.StdinPipe()
	if err != nil {
		return rust{}, nil, err
	}
	from, err := command.StdoutPipe()
	if err != nil {
		return rust{}, nil, err
	}
	if err := command.Start(); err != nil {
		return rust{}, nil, fmt.Errorf("%s: %w; cargo build --release -p ringlog-call --example beside makes it", program, err)
	}
	end := func() {
		_ = command.Process.Kill()
		_ = command.Wait()
	}
	return rust{to, bufio.NewScanner(from)}, end, nil
}

func (r rust) ask(line string) (time.Duration, error) {
	if _, err := fmt.Fprintln(r.to, line); err != nil {
		return 0, err
	}
	if !r.from.Scan() {
		return 0, errors.New("the program in Rust ended")
	}
	ns, err := strconv.ParseInt(r.from.Text(), 10, 64)
	return time.Duration(ns), err
}

func figures(beside string, turns int) error {
	theirs, end, err := begin(beside)
	if err != nil {
		return err
	}
	defer end()
	name := fmt.Sprintf("/ringlog-figures-%d", os.Getpid())
	schema, err := ringlog.SchemaOf[sample](ringlog.NoBody)
	if err != nil {
		return err
	}
	log, err := ringlog.Options{Capacity: slots}.Create(name, schema)
	if err != nil {
		return err
	}
	defer ringlog.Remove(name)
	samples, err := ringlog.For[sample](log)
	if err != nil {
		return err
	}
	fmt.Printf("%-44s %10s %10s %7s   %s\n", "", "Go", "Rust", "ratio", "least..largest")
	for _, it := range []struct {
		what, command string
		ours          func(*ringlog.Log, ringlog.Typed[sample]) (time.Duration, error)
		argument      int
	}{
		{"append", "append", appendEach, passes * slots},
		{"append in batches of 64", "batch", appendBatches, passes * slots},
		{"poll", "poll", poll, passes},
		{"poll in batches of 64", "polls", pollBatches, passes},
	} {
		line := fmt.Sprintf("%s %s %d", it.command, name, it.argument)
		err := take(it.what, turns, passes*slots, func() (time.Duration, error) { return it.ours(log, samples) },
			func() (time.Duration, error) { return theirs.ask(line) })
		if err != nil {
			return err
		}
	}
	if err := log.Close(); err != nil {
		return err
	}
	return calls(beside, theirs, name+"-calls", min(turns, 31))
}

// calls lets clients of both languages call servers of both. Each turn has a server of its own, so that no other takes a
// core meanwhile.
func calls(beside string, theirs rust, name string, turns int) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	defer removeService(name)
	const count = 1000
	serveRust := func() (func(), error) {
		server, end, err := begin(beside)
		if err == nil {
			_, err = fmt.Fprintln(server.to, "serve", name)
			server.from.Scan()
		}
		return end, err
	}
	serveGo := func() (func(), error) {
		server, end, err := begin(self, "-serve", name)
		if err == nil {
			server.from.Scan()
		}
		return end, err
	}
	callRust := func() (time.Duration, error) { return theirs.ask(fmt.Sprintf("call %s %d", name, count)) }
	callGo := func() (time.Duration, error) { return callEach(name, count) }
	with := func(serve func() (func(), error), call func() (time.Duration, error)) func() (time.Duration, error) {
		return func() (time.Duration, error) {
			end, err := serve()
			if err != nil {
				return 0, err
			}
			defer end()
			return call()
		}
	}
	for _, it := range []struct {
		what string
		ours func() (time.Duration, error)
	}{
		{"call, of Rust to Go, beside Rust to Rust", with(serveGo, callRust)},
		{"call, of Go to Rust, beside Rust to Rust", with(serveRust, callGo)},
		{"call, of Go to Go, beside Rust to Rust", with(serveGo, callGo)},
	} {
		if err := take(it.what, turns, count, it.ours, with(serveRust, callRust)); err != nil {
			return err
		}
	}
	return nil
}

func removeService(name string) {
	_ = ringlog.Remove(name)
	for lane := range 16 {
		_ = ringlog.Remove(fmt.Sprintf("%s.%d.req", name, lane))
		_ = ringlog.Remove(fmt.Sprintf("%s.%d.rep", name, lane))
	}
}

// take lets both sides take turns, and prints a line.
func take(what string, turns, count int, ours, theirs func() (time.Duration, error)) error {
	var us, them, ratios []float64
	for range turns {
		one, err := ours()
		if err != nil {
			return fmt.Errorf("%s: %w", what, err)
		}
		other, err := theirs()
		if err != nil {
			return fmt.Errorf("%s: %w", what, err)
		}
		us = append(us, float64(one)/float64(count))
		them = append(them, float64(other)/float64(count))
		ratios = append(ratios, float64(one)/float64(other))
	}
	slices.Sort(ratios)
	fmt.Printf("%-44s %7.2f ns %7.2f ns %7.2f   %.2f..%.2f\n", what, median(us), median(them), median(ratios), ratios[0], ratios[turns-1])
	return nil
}

func median(of []float64) float64 {
	slices.Sort(of)
	return of[len(of)/2]
}

func appendEach(log *ringlog.Log, samples ringlog.Typed[sample]) (time.Duration, error) {
	w, err := log.Writer()
	if err != nil {
		return 0, err
	}
	defer w.Close()
	var it sample
	record := samples.Bytes(&it)
	begun := time.Now()
	for range passes * slots {
		it.set(w.Position())
		if _, err := w.Append(record); err != nil {
			return 0, err
		}
	}
	return time.Since(begun), nil
}

func appendBatches(log *ringlog.Log, samples ringlog.Typed[sample]) (time.Duration, error) {
	w, err := log.Writer()
	if err != nil {
		return 0, err
	}
	defer w.Close()
	records := make([]sample, 64)
	begun := time.Now()
	for range passes * slots / len(records) {
		for i := range records {
			records[i].set(w.Position() + uint64(i))
		}
		if _, _, err := w.AppendBatch(samples.All(records)); err != nil {
			return 0, err
		}
	}
	return time.Since(begun), nil
}

func poll(log *ringlog.Log, samples ringlog.Typed[sample]) (time.Duration, error) {
	o, err := log.Observe(ringlog.Oldest)
	if err != nil {
		return 0, err
	}
	defer o.Close()
	sum, count := uint64(0), 0
	begun := time.Now()
	for range passes {
		if err := o.Seek(ringlog.Oldest); err != nil {
			return 0, err
		}
		for {
			entry, err := o.Poll()
			if err != nil {
				break
			}
			it := samples.Of(entry.Record)
			sum, count = sum+it.A^it.G, count+1
		}
	}
	took := time.Since(begun)
	return took, isAll(count, sum)
}

func pollBatches(log *ringlog.Log, samples ringlog.Typed[sample]) (time.Duration, error) {
	o, err := log.Observe(ringlog.Oldest)
	if err != nil {
		return 0, err
	}
	defer o.Close()
	records := make([]sample, 64)
	sum, count := uint64(0), 0
	begun := time.Now()
	for range passes {
		if err := o.Seek(ringlog.Oldest); err != nil {
			return 0, err
		}
		for {
			_, taken, err := o.PollBatch(samples.All(records))
			if err != nil {
				break
			}
			for i := range taken {
				sum += records[i].A ^ records[i].G
			}
			count += taken
		}
	}
	took := time.Since(begun)
	return took, isAll(count, sum)
}

// isAll is an error where not all came; it uses the sum, so that the compiler has to make it.
func isAll(count int, sum uint64) error {
	if count != passes*slots || sum == 1 {
		return fmt.Errorf("%d entries, sum %d", count, sum)
	}
	return nil
}

func callEach(service string, count int) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	client, err := ringlog.Dial(ctx, service)
	if err != nil {
		return 0, err
	}
	defer client.Close()
	body := []byte(strings.Repeat("x", 72))
	begun := time.Now()
	for range count {
		if _, err := client.Call(ctx, 1, body); err != nil {
			return 0, err
		}
	}
	return time.Since(begun), nil
}
