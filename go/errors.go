package ringlog

import (
	"errors"
	"fmt"
)

// What an error is, for errors.Is.
var (
	// ErrEmpty says that there is no entry yet.
	ErrEmpty = errors.New("no entry yet")
	// ErrFull says that a lossless log has no room until one of its gates commits.
	ErrFull = errors.New("no room")
	// ErrClaimed says that another process, or another handle of this one, has the claim.
	ErrClaimed = errors.New("claimed")
	// ErrNotFound says that there is no such log.
	ErrNotFound = errors.New("no such log")
	// ErrExists says that the name is taken.
	ErrExists = errors.New("name taken")
	// ErrUnusable says that what has the name is no log that this package can read.
	ErrUnusable = errors.New("unusable log")
	// ErrInvalid says that the caller asked for what cannot be.
	ErrInvalid = errors.New("invalid argument")
	// ErrClosed says that the handle was closed.
	ErrClosed = errors.New("closed")
)

// An Error says what failed with which log, why, and what to do.
type Error struct {
	Log  string // its name
	Kind error  // one of the variables of this package, or an error of the system
	Text string
}

func (e *Error) Error() string { return e.Log + ": " + e.Text }

// Unwrap returns the Kind, so that errors.Is finds it.
func (e *Error) Unwrap() error { return e.Kind }

func failed(log string, kind error, format string, values ...any) error {
	return &Error{Log: log, Kind: kind, Text: fmt.Sprintf(format, values...)}
}

// A LostError says that the entries from From to below To were overwritten before this reader took them. It is
// reported once; the next poll goes on at To.
type LostError struct {
	From, To uint64
}

func (e *LostError) Error() string {
	return fmt.Sprintf("lost %d..%d, %d entries", e.From, e.To, e.To-e.From)
}

// A FullError says which gate a lossless log's writer waits for.
type FullError struct {
	Reader int    // the hindmost gate
	Behind uint64 // entries that it has not committed
}

func (e *FullError) Error() string {
	return fmt.Sprintf("no room: reader %d has not committed %d entries; start it, or let it off "+
		"(ringlog reader %d release)", e.Reader, e.Behind, e.Reader)
}

// Is makes errors.Is(err, ErrFull) true.
func (e *FullError) Is(target error) bool { return target == ErrFull }
