package ringlog

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
)

// What becomes of a call besides an answer, for errors.Is. A call whose time is over ends in the error of its context.
var (
	// ErrGone says that the service has no server.
	ErrGone = errors.New("the server is gone; start it again")
	// ErrInterrupted says that the server died over the request: it may have been run.
	ErrInterrupted = errors.New("the server died over the request: it may have been run")
	// ErrExpired says that the request came too late to be run. It is a context.DeadlineExceeded, too.
	ErrExpired = fmt.Errorf("the request came too late to be run: %w", context.DeadlineExceeded)
	// ErrPanicked says that the handler panicked.
	ErrPanicked = errors.New("the handler panicked")
	// ErrNoMethod says that the service has no such method. A handler returns it.
	ErrNoMethod = errors.New("no such method")
	// ErrTooLarge says that the request, or its answer, is longer than the server takes.
	ErrTooLarge = errors.New("longer than the server takes")
	// ErrBusy says that all lanes of the service have a client.
	ErrBusy = errors.New("all lanes have a client; end one, or serve with more lanes")
)

// A FailedError says that the handler failed, and how.
type FailedError struct {
	Text []byte // what the server says
}

func (e *FailedError) Error() string { return fmt.Sprintf("the server failed: %s", e.Text) }

// What an answer says became of the request.
const (
	statusOK = iota
	statusFailed
	statusInterrupted
	statusExpired
	statusPanicked
	statusNoMethod
	statusTooLarge
)

// statusErrors are the errors of those that need no text.
var statusErrors = map[uint8]error{
	statusInterrupted: ErrInterrupted, statusExpired: ErrExpired, statusPanicked: ErrPanicked,
	statusNoMethod: ErrNoMethod, statusTooLarge: ErrTooLarge,
}

// Bits of part.
const (
	partMore   = 1 // more parts come
	partBehind = 2 // parts have come
	partTimed  = 4 // the client asks when it is answered
)

const (
	laneSlots     = 64
	requestSchema = "sent_ns u64 0\ndeadline_ns u64 8\nstream u64 16\nmethod u32 24\nclient u32 28\npart u8 32\n"
	requestSize   = 40
	answerSchema  = "request u64 0\nsent_ns u64 8\nstatus u8 16\npart u8 17\n"
	answerSize    = 24
	serviceSchema = "time timestamp 0\npid u64 8\n"
	serviceSize   = 16
	// inParts is the most bytes that are put together.
	inParts = 64 << 20
)

// asked is the columns of a request.
type asked struct {
	sent, deadline, stream uint64
	method, client         uint32
	part                   uint8
}

func (a *asked) bytes() (record [requestSize]byte) {
	binary.LittleEndian.PutUint64(record[0:], a.sent)
	binary.LittleEndian.PutUint64(record[8:], a.deadline)
	binary.LittleEndian.PutUint64(record[16:], a.stream)
	binary.LittleEndian.PutUint32(record[24:], a.method)
	binary.LittleEndian.PutUint32(record[28:], a.client)
	record[32] = a.part
	return record
}

func askedOf(record []byte) asked {
	return asked{
		binary.LittleEndian.Uint64(record[0:]), binary.LittleEndian.Uint64(record[8:]), binary.LittleEndian.Uint64(record[16:]),
		binary.LittleEndian.Uint32(record[24:]), binary.LittleEndian.Uint32(record[28:]), record[32],
	}
}

// answered is the columns of an answer.
type answered struct {
	request, sent uint64
	status, part  uint8
}

func (a *answered) bytes() (record [answerSize]byte) {
	binary.LittleEndian.PutUint64(record[0:], a.request)
	binary.LittleEndian.PutUint64(record[8:], a.sent)
	record[16], record[17] = a.status, a.part
	return record
}

func answeredOf(record []byte) answered {
	return answered{binary.LittleEndian.Uint64(record[0:]), binary.LittleEndian.Uint64(record[8:]), record[16], record[17]}
}

// laneName returns what a log of a lane is called; the ending is "req" or "rep".
func laneName(service string, lane int, ending string) string {
	return service + "." + strconv.Itoa(lane) + "." + ending
}

// openLane opens a log of a lane, and refuses what is none.
func openLane(name string, trust []int, columns string) (*Log, error) {
	log, err := Options{Trust: trust}.Open(name)
	if err != nil {
		return nil, err
	}
	is := log.schema
	if columns += fmt.Sprintf("%s %s %d\n", is.BodyName, is.Body, is.Size); log.role != roleLane || is.Body == NoBody || is.String() != columns {
		log.Close()
		return nil, failed(name, ErrInvalid, "it is no lane of a service; remove it, or take another name")
	}
	return log, nil
}

// openService opens the log of a service.
func openService(name string, trust []int) (*Log, error) {
	log, err := Options{Trust: trust}.Open(name)
	if err == nil && log.role != roleService {
		log.Close()
		return nil, failed(name, ErrInvalid, "it is a log and no service")
	}
	return log, err
}

// parts puts together what comes in parts, by what they have in common.
type parts struct {
	of    map[uint64]*pieces
	bytes int
}

type pieces struct {
	body  []byte
	state wholeness
}

type wholeness int

const (
	whole   wholeness = iota
	missing           // its first parts went to another process
	tooLong           // it has more bytes than are put together
)

// add takes a part. If this is the last, it returns all that came, and whether that is whole.
func (p *parts) add(key uint64, part uint8, body []byte) (all []byte, state wholeness, isLast bool) {
	if part&(partMore|partBehind) == 0 {
		return body, whole, true
	}
	it := p.of[key]
	if part&partBehind == 0 || it == nil {
		p.forget(key)
		it = &pieces{}
		if part&partBehind != 0 {
			it.state = missing
		}
		if p.of == nil {
			p.of = map[uint64]*pieces{}
		}
		p.of[key] = it
	}
	if it.state == whole && p.bytes+len(body) > inParts {
		p.bytes -= len(it.body)
		it.body, it.state = nil, tooLong
	}
	if it.state == whole {
		it.body = append(it.body, body...)
		p.bytes += len(body)
	}
	if part&partMore != 0 {
		return nil, it.state, false
	}
	p.forget(key)
	return it.body, it.state, true
}

func (p *parts) forget(key uint64) {
	if it := p.of[key]; it != nil {
		p.bytes -= len(it.body)
		delete(p.of, key)
	}
}
