package ringlog

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"runtime"
	"sync/atomic"
	"time"
)

// ServiceOptions say how a service is served.
type ServiceOptions struct {
	Lanes int    // clients at a time; by default 16
	Arena uint64 // bytes of a lane's arena, each way; by default 1 MiB. What is longer than half of it goes in parts
	// Body is the kind of its bodies; by default bytes.
	Body BodyKind
	// Workers is how many goroutines run the handler; by default none, and it runs in that of Run.
	Workers int
	// Repeat runs a request again that a server died over: at least once. By default its caller is told: at most once.
	Repeat bool
	// Mode is the permissions of its logs; by default 0600.
	Mode os.FileMode
	// Trust are users whose logs are believed, besides this one and root.
	Trust []int
}

// A Request is what a client asks for.
type Request struct {
	Method uint32
	Body   []byte // until the handler returns
	// Lane and Position tell it from all other requests to the service.
	Lane     int
	Position uint64
}

// A Handler answers a request. Its error is what the caller gets: ErrNoMethod as that, any other as a *FailedError. The
// context is done when the caller waits no more.
type Handler func(ctx context.Context, request *Request) ([]byte, error)

// A Service is the server of a name, until it is closed or its process ends.
type Service struct {
	options ServiceOptions
	name    string
	log     *Log
	claim   *Writer
	lanes   []*lane
	looked  time.Time
	failure error
	// Of requests that run in goroutines: how many do, what comes of them, and a futex that says so.
	running int
	results chan result
	signal  *atomic.Uint32
}

// result is what a goroutine made of a request.
type result struct {
	lane     *lane
	position uint64
	client   uint32
	timed    bool
	answer
}

// lane is the two logs of one client.
type lane struct {
	number    int
	requests  *Reader
	answers   *Writer
	log       *Log   // of the requests
	client    uint32 // whose requests these are
	hasClient bool
	parts     parts
	taken     uint64 // of the log
	outbox    []outgoing
}

// outgoing is an answer that has no room yet, or some of it.
type outgoing struct {
	answered
	body    []byte
	isLast  bool   // the request is finished when this is sent
	counter uint64 // and counted there
}

// Serve becomes the server of a name.
func Serve(name string, o ServiceOptions) (*Service, error) {
	members := uint64(o.Lanes)
	if o.Lanes <= 0 {
		members = 16
	}
	if o.Arena == 0 {
		o.Arena = 1 << 20
	}
	if o.Body == NoBody {
		o.Body = BytesBody
	}
	schema, err := ParseSchema(serviceSchema, serviceSize)
	if err != nil {
		return nil, err
	}
	options := Options{Capacity: laneSlots, Mode: o.Mode, Trust: o.Trust, role: roleService, members: members}
	log, err := options.Create(name, schema)
	if errors.Is(err, ErrExists) {
		log, err = openService(name, o.Trust)
	}
	if err != nil {
		return nil, err
	}
	if o.Lanes > 0 && log.members != members {
		log.Close()
		return nil, failed(name, ErrInvalid, "it has %d lanes, and %d were asked for; leave that out, or remove the service", log.members, members)
	}
	claim, err := log.Writer()
	if err != nil {
		log.Close()
		return nil, err
	}
	// For people: who has served.
	var record [serviceSize]byte
	binary.LittleEndian.PutUint64(record[0:], wallNS())
	binary.LittleEndian.PutUint64(record[8:], uint64(os.Getpid()))
	if log.schema.String() == serviceSchema && log.Arena == 0 {
		if _, err := claim.Append(record[:]); err != nil {
			return nil, err
		}
	}
	o.Workers = max(o.Workers, 0)
	s := &Service{options: o, name: name, log: log, claim: claim, results: make(chan result, max(o.Workers, 1)), signal: new(atomic.Uint32)}
	if err := s.openLanes(); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

// openLanes opens the lanes that are there, and makes the first.
func (s *Service) openLanes() error {
	for number := range int(s.log.members) {
		if _, err := os.Stat(pathOf(laneName(s.name, number, "req"))); err != nil && number > 0 {
			break
		}
		lane, err := s.openLane(number)
		if err != nil {
			return err
		}
		s.lanes = append(s.lanes, lane)
	}
	return nil
}

// look sees which clients came and went, and makes one more lane where all have one.
func (s *Service) look() {
	s.looked = time.Now()
	hasFree := false
	for _, lane := range s.lanes {
		if lane.hasClient = lane.log.HasWriter(); !lane.hasClient {
			hasFree = true
			lane.forget()
		}
	}
	if !hasFree && len(s.lanes) < int(s.log.members) {
		lane, err := s.openLane(len(s.lanes))
		if s.failure = err; err == nil {
			s.lanes = append(s.lanes, lane)
		}
	}
}

// LaneError returns why a lane for one more client could not be made; it is tried again. Mostly it is nil.
func (s *Service) LaneError() error { return s.failure }

// openLane opens or makes a lane, the answers' log first.
func (s *Service) openLane(number int) (*lane, error) {
	options := Options{Capacity: laneSlots, Arena: s.options.Arena, Gates: []int{0}, Mode: s.options.Mode, Trust: s.options.Trust, role: roleLane}
	open := func(ending, columns string, size int) (*Log, error) {
		name := laneName(s.name, number, ending)
		log, err := openLane(name, s.options.Trust, columns)
		if errors.Is(err, ErrNotFound) {
			var schema *Schema
			if schema, err = ParseSchema(fmt.Sprintf("%sbody %s %d\n", columns, s.options.Body, size), size); err == nil {
				log, err = options.Create(name, schema)
			}
		}
		if err == nil && log.schema.Body != s.options.Body {
			err = failed(name, ErrInvalid, "its bodies are %s, and the service's are %s; remove the service, or serve that", log.schema.Body, s.options.Body)
			log.Close()
		}
		return log, err
	}
	answers, err := open("rep", answerSchema, answerSize)
	if err != nil {
		return nil, err
	}
	defer answers.Close()
	requests, err := open("req", requestSchema, requestSize)
	if err != nil {
		return nil, err
	}
	l := &lane{number: number, log: requests}
	if l.answers, err = answers.Writer(); err == nil {
		l.requests, err = requests.Reader(0)
	}
	if err != nil {
		l.close()
		return nil, err
	}
	l.client = uint32(l.requests.load(atEpoch))
	l.taken = min(l.requests.load(l.requests.line(0)+inTaken), l.requests.published)
	return l, nil
}

// forget drops what is left of a client that is gone.
func (l *lane) forget() {
	l.parts = parts{}
	outbox := l.outbox
	l.outbox = nil
	for _, it := range outbox {
		if it.isLast {
			l.finish(it.request, 0)
		}
	}
}

func (l *lane) close() {
	if l.requests != nil {
		_ = l.requests.Close()
	}
	if l.answers != nil {
		_ = l.answers.Close()
	}
	_ = l.log.Close()
}

// isFinished returns whether a request is finished, of those that are begun.
func (l *lane) isFinished(position uint64) bool {
	return l.requests.load(l.requests.line(0)+inAnswered)>>(position%64)&1 == 1
}

// finish notes that a request is finished, and counts it, if it is to be counted.
func (l *lane) finish(position, counter uint64) {
	r, line := l.requests, l.requests.line(0)
	if counter != 0 {
		r.store(line+counter, r.load(line+counter)+1)
	}
	r.store(line+inAnswered, r.load(line+inAnswered)|1<<(position%64))
	l.release(laneSlots / 4)
}

// release commits what is finished, with all before it, if that is as much.
func (l *lane) release(least uint64) {
	r := l.requests
	position := r.committed.position
	for position < r.position && l.isFinished(position) {
		position++
	}
	if position-r.committed.position >= least {
		r.commitAt(position)
	}
}

// send answers a request, as soon as there is room, and finishes it.
func (l *lane) send(request uint64, timed bool, status uint8, body []byte, counter uint64) {
	if len(body) > inParts {
		status, body = statusTooLarge, nil
	}
	it := outgoing{answered: answered{request: request, status: statusOK}}
	if timed {
		it.sent = monotonicNS()
	}
	most := int(l.answers.BodyMax())
	for len(body) > most {
		it.part |= partMore
		it.body = body[:most/2]
		l.post(it)
		it.part = partBehind
		body = body[most/2:]
	}
	it.status, it.body, it.isLast, it.counter = status, body, true, counter
	l.post(it)
	l.answers.Wake()
}

// post appends an answer or a part of one, or keeps it until there is room.
func (l *lane) post(it outgoing) {
	if len(l.outbox) == 0 && l.append(it) {
		return
	}
	it.body = bytes.Clone(it.body)
	l.outbox = append(l.outbox, it)
}

func (l *lane) append(it outgoing) bool {
	record := it.answered.bytes()
	if _, err := l.answers.AppendBody(record[:], it.body); err != nil {
		return false
	}
	if it.isLast {
		l.finish(it.request, it.counter)
	}
	return true
}

// flush sends what was kept, as far as there is room. It returns whether there was.
func (l *lane) flush() bool {
	sent := 0
	for sent < len(l.outbox) && l.append(l.outbox[sent]) {
		sent++
	}
	if sent > 0 {
		l.outbox = l.outbox[sent:]
		l.answers.Wake()
	}
	return sent > 0
}

// turn takes the lane's next request, if there is one. It returns whether there was anything to do.
func (s *Service) turn(l *lane, handler Handler) bool {
	if len(l.outbox) > 0 {
		return l.flush()
	}
	if !s.mayTake() {
		return false
	}
	r, line := l.requests, l.requests.line(0)
	entry, err := r.Poll()
	if err != nil {
		_, isLoss := err.(*LostError)
		return isLoss
	}
	p := entry.Position
	it := askedOf(entry.Record)
	wasBegun := p < l.taken
	if wasBegun && l.isFinished(p) {
		l.release(laneSlots / 4)
		return true
	}
	if !wasBegun {
		r.store(line+inAnswered, r.load(line+inAnswered)&^(1<<(p%64)))
		l.taken = p + 1
		r.store(line+inTaken, l.taken)
	}
	if client := uint32(r.load(atEpoch)); client != l.client {
		l.forget()
		l.client = client
	}
	if it.client == l.client && !l.hasClient {
		l.hasClient = l.log.HasWriter()
	}
	if it.client != l.client || !l.hasClient {
		l.finish(p, 0)
		return true
	}
	cameInParts := it.part&(partMore|partBehind) != 0
	body, state, isLast := l.parts.add(it.stream, it.part, entry.Body)
	timed := it.part&partTimed != 0
	switch {
	case !isLast:
		l.finish(p, 0)
	case wasBegun && (cameInParts || !s.options.Repeat), state == missing:
		l.send(p, timed, statusInterrupted, nil, inInterrupted)
	case it.deadline != 0 && monotonicNS() > it.deadline:
		l.send(p, timed, statusExpired, nil, inExpired)
	case state == tooLong:
		l.send(p, timed, statusTooLarge, nil, inServed)
	default:
		s.run(l, p, it, body, handler)
	}
	return true
}

// run has a request answered: here, or by a goroutine.
func (s *Service) run(l *lane, position uint64, it asked, body []byte, handler Handler) {
	request := &Request{Method: it.method, Body: body, Lane: l.number, Position: position}
	ctx, cancel := context.Background(), context.CancelFunc(func() {})
	if it.deadline != 0 {
		left := time.Duration(it.deadline - min(it.deadline, monotonicNS()))
		ctx, cancel = context.WithTimeout(ctx, left)
	}
	if s.options.Workers == 0 {
		defer cancel()
		s.answer(result{l, position, it.client, it.part&partTimed != 0, call(ctx, handler, request)})
		return
	}
	request.Body = bytes.Clone(body)
	s.running++
	go func() {
		defer cancel()
		s.results <- result{l, position, it.client, it.part&partTimed != 0, call(ctx, handler, request)}
		s.wake()
	}()
}

// call runs a handler. One that panics has failed.
func call(ctx context.Context, handler Handler, request *Request) (is answer) {
	defer func() {
		if why := recover(); why != nil {
			is = answer{err: fmt.Errorf("%w: %v", ErrPanicked, why)}
		}
	}()
	body, err := handler(ctx, request)
	return answer{body, err}
}

// answer sends what came of a request, if its client is still there.
func (s *Service) answer(it result) {
	l := it.lane
	var failed *FailedError
	status, body := uint8(statusOK), it.body
	switch {
	case it.client != l.client:
		l.finish(it.position, 0)
		return
	case it.err == nil:
	case errors.Is(it.err, ErrNoMethod):
		status, body = statusNoMethod, nil
	case errors.Is(it.err, context.DeadlineExceeded):
		status, body = statusExpired, nil
	case errors.Is(it.err, ErrPanicked):
		status, body = statusPanicked, []byte(it.err.Error())
	case errors.As(it.err, &failed):
		status, body = statusFailed, failed.Text
	default:
		status, body = statusFailed, []byte(it.err.Error())
	}
	l.send(it.position, it.timed, status, body, inServed)
}

// answerLate sends what goroutines have made. It returns whether there was anything.
func (s *Service) answerLate() bool {
	some := false
	for s.running > 0 {
		select {
		case it := <-s.results:
			s.running--
			s.answer(it)
			some = true
		default:
			return some
		}
	}
	return some
}

func (s *Service) wake() {
	s.signal.Add(1)
	wakeAll(s.futex())
}

func (s *Service) futex() *uint32 { return futexOf(s.signal) }

// Run serves until the context is done. What is under way then is answered, if it takes no more than five seconds; what
// has not been begun is left to the next server.
func (s *Service) Run(ctx context.Context, handler Handler) error {
	if s.log == nil {
		return ErrClosed
	}
	defer context.AfterFunc(ctx, s.wake)()
	for quiet, turns := 0, 0; ctx.Err() == nil; turns++ {
		seen := s.signal.Load()
		busy := s.answerLate()
		for i := range s.lanes {
			busy = s.turn(s.lanes[(i+turns)%len(s.lanes)], handler) || busy
		}
		if turns%64 == 63 && time.Since(s.looked) > lookEvery {
			s.look()
		}
		switch {
		case busy:
			quiet = 0
		case quiet < 1000:
			if quiet++; quiet%32 == 0 {
				runtime.Gosched()
			}
		default:
			s.rest(seen)
		}
	}
	for end := time.Now().Add(5 * time.Second); s.isUnderWay() && time.Now().Before(end); {
		if !s.answerLate() {
			time.Sleep(time.Millisecond)
		}
		for _, l := range s.lanes {
			l.flush()
		}
	}
	for _, l := range s.lanes {
		l.release(1)
	}
	return nil
}

// lookEvery is how often a server looks for clients that came or went.
const lookEvery = 10 * time.Millisecond

func (s *Service) isUnderWay() bool {
	for _, l := range s.lanes {
		if len(l.outbox) > 0 && l.log.HasWriter() {
			return true
		}
	}
	return s.running > 0
}

// rest sleeps until a client asks, or takes answers, or a goroutine has one; and not if that has happened since the
// signal was seen.
func (s *Service) rest(seen uint32) {
	if time.Since(s.looked) > lookEvery {
		s.look()
	}
	words, values := []*uint32{s.futex()}, []uint32{seen}
	for _, l := range s.lanes {
		l.release(1)
		on, at := l.requests.words, uint64(atSleepers)
		if len(l.outbox) > 0 {
			on, at = l.answers.words, atRoom
		}
		value := on.or(at, 1) | 1
		words, values = append(words, on.half(at)), append(values, uint32(value))
		if l.flush() || len(l.outbox) == 0 && s.mayTake() && l.requests.isReady() {
			return
		}
	}
	if !sleepOnAny(words, values, lookEvery) {
		time.Sleep(time.Millisecond)
	}
}

// mayTake returns whether a request could be run.
func (s *Service) mayTake() bool { return s.options.Workers == 0 || s.running < s.options.Workers }

// Close lets go of the name. What is begun and not finished is interrupted.
func (s *Service) Close() error {
	if s.log == nil {
		return nil
	}
	for _, l := range s.lanes {
		l.close()
	}
	_ = s.claim.Close()
	err := s.log.Close()
	s.log, s.lanes = nil, nil
	return err
}
