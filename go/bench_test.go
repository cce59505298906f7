package ringlog

import (
	"context"
	"testing"
)

func BenchmarkAppend(b *testing.B) {
	log, samples := sampleLog(b, Options{Capacity: 1 << 16})
	w, err := log.Writer()
	must(b, err)
	defer w.Close()
	it := sampleAt(1)
	record := samples.Bytes(&it)
	b.ResetTimer()
	for range b.N {
		_, _ = w.Append(record)
	}
}

func BenchmarkAppendBatch(b *testing.B) {
	log, samples := sampleLog(b, Options{Capacity: 1 << 16})
	w, err := log.Writer()
	must(b, err)
	defer w.Close()
	records := samples.All(make([]sample, 64))
	b.ResetTimer()
	for range b.N {
		_, _, _ = w.AppendBatch(records)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/64, "ns/entry")
}

func BenchmarkPoll(b *testing.B) {
	log, samples := sampleLog(b, Options{Capacity: 1 << 16})
	w, err := log.Writer()
	must(b, err)
	appendSamples(b, w, samples, 1<<16)
	must(b, w.Close())
	r, err := log.Reader(0)
	must(b, err)
	defer r.Close()
	b.ResetTimer()
	for range b.N {
		if _, err := r.Poll(); err != nil {
			r.position = 0
		}
	}
}

func BenchmarkPollBatch(b *testing.B) {
	log, samples := sampleLog(b, Options{Capacity: 1 << 16})
	w, err := log.Writer()
	must(b, err)
	appendSamples(b, w, samples, 1<<16)
	must(b, w.Close())
	r, err := log.Reader(0)
	must(b, err)
	defer r.Close()
	records := samples.All(make([]sample, 64))
	b.ResetTimer()
	for range b.N {
		if _, _, err := r.PollBatch(records); err != nil {
			r.position = 0
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/64, "ns/entry")
}

func BenchmarkBody32K(b *testing.B) {
	log := bodyLog(b, Options{Capacity: 1024, Arena: 8 << 20})
	w, err := log.Writer()
	must(b, err)
	defer w.Close()
	body, record := make([]byte, 32<<10), idBytes(0)
	b.ResetTimer()
	for range b.N {
		_, _ = w.AppendBody(record, body)
	}
}

func BenchmarkCall(b *testing.B) {
	name := shmName(b)
	s, err := Serve(name, ServiceOptions{})
	must(b, err)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() {
		ended <- s.Run(ctx, func(_ context.Context, request *Request) ([]byte, error) { return request.Body, nil })
	}()
	client, err := Dial(inTime(b), name)
	must(b, err)
	body := make([]byte, 72)
	for range b.N {
		if _, err := client.Call(ctx, 1, body); err != nil {
			b.Fatal(err)
		}
	}
	must(b, client.Close())
	cancel()
	must(b, <-ended)
	must(b, s.Close())
}

// What is bare: the same bytes, copied to where they are all the time, with no promise.
func BenchmarkBareCopy24(b *testing.B) {
	log, samples := sampleLog(b, Options{Capacity: 1 << 16})
	w, err := log.Writer()
	must(b, err)
	defer w.Close()
	it := sampleAt(1)
	record := samples.Bytes(&it)
	memory := bytesOf(w.words)[headerSize:]
	b.ResetTimer()
	for i := range b.N {
		copy(memory[i&(1<<16-1)*32+8:], record)
	}
}

func BenchmarkBareCopy32K(b *testing.B) {
	log := bodyLog(b, Options{Capacity: 1024, Arena: 8 << 20})
	w, err := log.Writer()
	must(b, err)
	defer w.Close()
	memory, body := bytesOf(w.words)[w.arenaAt():], make([]byte, 32<<10)
	b.ResetTimer()
	for i := range b.N {
		copy(memory[i&255*(32<<10):], body)
	}
}
