// Package ringlog reads and writes ringlog's logs: persistent rings of entries in shared memory or files, which one
// process appends to and any number follow.
//
// It is Go alone, after docs/format.md of the project. A [Log] is opened by its name; an [Observer] looks at it, a [Reader]
// is one of its eight durable readers, a [Writer] appends. A [Client] calls a [Service] of another process.
//
// Each of them is used by one goroutine at a time, and closed at the end: until then it holds its mapping, and its claim.
// A log's file must not be cut while it is mapped: the kernel ends the process then.
package ringlog

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"syscall"
)

// Options say how a log is made or opened. Of what is zero, a log that is made has the default, and of one that is there
// nothing is asked.
type Options struct {
	Capacity uint64 // slots, a power of two from 2 on; by default 1024
	// Inline is the bytes of a body that a slot holds itself; by default as many as make a slot of 128 bytes, or of a
	// larger one where that leaves less than 40.
	Inline uint64
	Arena  uint64 // bytes for longer bodies, a power of two; by default 8 MiB. A body is at most half of it
	// Gates are the readers that the writer waits for: the log is lossless for them.
	Gates []int
	// SkipAbsent makes the writer go on without a gate that was there and is gone.
	SkipAbsent bool
	Mode       os.FileMode // by default 0600. Readers store where they are, so they need to write
	// Trust are users whose logs are believed, besides this one and root.
	Trust []int

	role, members uint64
}

// A Log is a log that is open for looking. It stays as it was made; only its entries and its readers change.
type Log struct {
	*segment
	trust []int
}

// segment is a log's file, mapped, and what its creator said, loaded once.
type segment struct {
	words
	Geometry
	name, path    string
	fd            int // for asking whether a claim is free
	device, inode uint64
	schema        *Schema
	id, source    [2]uint64
	created       uint64
	gates         uint64
	absent        uint64
	role, members uint64
	base          uint64
}

const sharedMemory = "/dev/shm/"

// pathOf returns the file of a log: "/name" is shared memory, anything else a path.
func pathOf(name string) string {
	if rest, ok := strings.CutPrefix(name, "/"); ok && rest != "" && !strings.Contains(rest, "/") {
		return sharedMemory + rest
	}
	return name
}

// Open opens the log of a name: "/name" is shared memory, and anything else the path of a file.
func Open(name string) (*Log, error) { return Options{}.Open(name) }

// Open opens the log of a name, as [Open], and asks of it what the options say.
func (o Options) Open(name string) (*Log, error) {
	s, err := openSegment(name, o.Trust, toLook)
	if err != nil {
		return nil, err
	}
	if err := o.fit(s); err != nil {
		s.close()
		return nil, err
	}
	return &Log{s, o.Trust}, nil
}

// fit returns in what the log is another than the options ask for.
func (o Options) fit(s *segment) error {
	differs := func(what string, asked, is uint64) error {
		if asked == 0 || asked == is {
			return nil
		}
		return failed(s.name, ErrInvalid, "its %s is %d, and %d was asked for; leave that out, or take another name", what, is, asked)
	}
	gates, err := o.gateBits()
	if err != nil {
		return failed(s.name, ErrInvalid, "%v", err)
	}
	return errors.Join(
		differs("capacity", o.Capacity, s.Capacity),
		differs("inline size", roundUp(o.Inline, 8), s.Inline),
		differs("arena size", o.Arena, s.Arena),
		differs("set of gates, as bits,", gates, s.gates),
		differs("way with absent gates", o.absent(), s.absent),
		differs("role", o.role, s.role),
		differs("number of members", o.members, s.members),
	)
}

func (o Options) gateBits() (bits uint64, err error) {
	for _, id := range o.Gates {
		if id < 0 || id >= Readers {
			return 0, fmt.Errorf("reader %d cannot be a gate: readers are 0 to 7", id)
		}
		bits |= 1 << id
	}
	return bits, nil
}

func (o Options) absent() uint64 {
	if o.SkipAbsent {
		return 1
	}
	return 0
}

// OpenOrCreate opens the log of a name, or makes it where there is none.
func (o Options) OpenOrCreate(name string, schema *Schema) (*Log, error) {
	for {
		log, err := o.Open(name)
		if err == nil && log.schema.String() != schema.String() {
			log.Close()
			return nil, failed(name, ErrInvalid, "it has other columns:\n%swhere these were asked for:\n%stake another name", log.schema, schema)
		}
		if !errors.Is(err, ErrNotFound) {
			return log, err
		}
		if log, err = o.Create(name, schema); !errors.Is(err, ErrExists) {
			return log, err
		}
	}
}

// Create makes a log: whole, or not at all.
func (o Options) Create(name string, schema *Schema) (*Log, error) {
	g, err := o.geometry(schema)
	if err != nil {
		return nil, failed(name, ErrInvalid, "%v", err)
	}
	gates, err := o.gateBits()
	if err != nil {
		return nil, failed(name, ErrInvalid, "%v", err)
	}
	if o.SkipAbsent && gates == 0 {
		return nil, failed(name, ErrInvalid, "it has no gates that could be absent; name them in Gates")
	}
	text := schema.String()
	if _, err := ParseSchema(text, schema.Size); err != nil {
		return nil, failed(name, ErrInvalid, "%v", err)
	}
	var id [16]byte
	if _, err := rand.Read(id[:]); err != nil {
		return nil, failed(name, err, "no random bytes for its id: %v", err)
	}
	mode := o.Mode
	if mode == 0 {
		mode = 0o600
	}
	err = makeFile(pathOf(name), g.fileSize(), mode, func(w words) {
		for at, word := range map[uint64]uint64{
			atVersion: version, atCapacity: g.Capacity, atSlotSize: g.SlotSize, atEntrySize: g.EntrySize,
			atLogID: binary.LittleEndian.Uint64(id[:]), atLogID + 8: binary.LittleEndian.Uint64(id[8:]),
			atCreated: wallNS(), atSchemaLen: uint64(len(text)), atArena: g.Arena, atInline: g.Inline,
			atGates: gates, atAbsent: o.absent(), atRole: o.role, atMembers: o.members,
			atBoot: bootID()[0], atBoot + 8: bootID()[1],
		} {
			w.store(at, word)
		}
		w.in(atSchema, []byte(text))
		w.store(atMagic, magic)
	})
	switch {
	case errors.Is(err, fs.ErrExist):
		return nil, failed(name, ErrExists, "the name is taken; open it, or take another one")
	case err != nil:
		return nil, failed(name, err, "cannot be made: %v", err)
	}
	return o.Open(name)
}

// geometry returns the sizes of a log that these options and a schema make.
func (o Options) geometry(schema *Schema) (Geometry, error) {
	g := Geometry{Capacity: o.Capacity, EntrySize: uint64(schema.Size)}
	if g.Capacity == 0 {
		g.Capacity = 1024
	}
	if schema.Body == NoBody {
		if o.Arena != 0 || o.Inline != 0 {
			return g, errors.New("an arena and an inline size are for records with a body")
		}
	} else {
		columns := roundUp(g.EntrySize, 8)
		if columns != g.EntrySize {
			return g, fmt.Errorf("the columns before a body take a multiple of 8 bytes, and these take %d", g.EntrySize)
		}
		g.Arena = o.Arena
		if g.Arena == 0 {
			g.Arena = 8 << 20
		}
		if g.Inline = roundUp(o.Inline, 8); g.Inline == 0 {
			// A slot is its stamp, the columns, the head, and this.
			slot := uint64(128)
			for slot < columns+16+40 {
				slot *= 2
			}
			g.Inline = slot - columns - 16
		}
		g.EntrySize += g.Inline + 8
	}
	g.SlotSize = slotSize(g.EntrySize)
	if wrong := g.check(); wrong != "" {
		return g, errors.New(wrong)
	}
	return g, nil
}

// access is what a log is opened for.
type access int

const (
	toLook  access = iota
	toRead         // as a reader, who stores where it is
	toWrite        // as the writer, who takes the page faults of the first lap at once
)

// populateMost is the most bytes whose page faults a writer takes at once.
const populateMost = 1 << 30

// openSegment opens and maps a log.
func openSegment(name string, trust []int, how access) (*segment, error) {
	s := &segment{name: name, path: pathOf(name), fd: -1}
	if err := s.open(trust, how); err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

// open opens and maps the log, and refuses what is none.
func (s *segment) open(trust []int, how access) (err error) {
	name := s.name
	s.fd, err = openFile(s.path, how != toLook)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return failed(name, ErrNotFound, "no such log; it may not have been made yet")
	case err == syscall.ELOOP:
		return failed(name, ErrUnusable, "it is a symbolic link; name the file that it is a link to")
	case err != nil:
		return failed(name, err, "cannot be opened: %v", err)
	}
	unusable := func(format string, values ...any) error {
		return failed(name, ErrUnusable, format, values...)
	}
	var stat syscall.Stat_t
	if err := syscall.Fstat(s.fd, &stat); err != nil {
		return failed(name, err, "cannot be looked at: %v", err)
	}
	s.device, s.inode = uint64(stat.Dev), stat.Ino
	if stat.Mode&syscall.S_IFMT != syscall.S_IFREG {
		return unusable("it is no regular file, and so no log")
	}
	if !isTrusted(int(stat.Uid), trust) {
		return unusable("it belongs to user %d, who is not trusted; name that user in Trust", stat.Uid)
	}
	if stat.Size < atCapacity {
		return unusable("it is no log: it has only %d bytes", stat.Size)
	}
	size := min(uint64(stat.Size), headerSize) / 8 * 8
	header, err := mapFile(s.fd, size, false, false)
	if err != nil {
		return failed(name, err, "cannot be mapped: %v", err)
	}
	defer func() { _ = unmap(header) }()
	switch {
	case header.load(atMagic) != magic:
		return unusable("it is no log; name another file, or remove it")
	case header.load(atVersion) != version:
		return unusable("it is of format %d, and this package knows format %d; export it with the program that made it, then remove it", header.load(atVersion), version)
	case size < headerSize:
		return unusable("it is cut short: it has %d bytes, and a header has %d", stat.Size, headerSize)
	}
	s.role, s.members, s.base = header.load(atRole), header.load(atMembers), header.load(atBase)
	s.gates, s.absent = header.load(atGates), header.load(atAbsent)
	s.id = [2]uint64{header.load(atLogID), header.load(atLogID + 8)}
	s.source = [2]uint64{header.load(atSource), header.load(atSource + 8)}
	s.created = header.load(atCreated)
	s.Geometry = Geometry{
		header.load(atCapacity), header.load(atSlotSize), header.load(atEntrySize), header.load(atInline), header.load(atArena),
	}
	hasMembers := s.role == roleService || s.role == roleTopic
	switch wrong := s.Geometry.check(); {
	case s.role > roleTopic:
		return unusable("it is for something that this package does not know, role %d; use a newer one", s.role)
	case hasMembers && (s.members == 0 || s.members > membersMax), !hasMembers && s.members != 0:
		return unusable("its header is damaged: it cannot have %d members", s.members)
	case s.base >= noPosition:
		return unusable("its header is damaged: its base is no position")
	case s.gates >= 1<<Readers || s.absent > 1:
		return unusable("its header is damaged: it has gates that cannot be")
	case wrong != "":
		return unusable("its header is damaged: %s", wrong)
	case s.fileSize() != uint64(stat.Size):
		return unusable("it has %d bytes, and its header says %d; it was cut, or is no log", stat.Size, s.fileSize())
	}
	if err := s.loadSchema(header); err != nil {
		return unusable("its header is damaged: %v", err)
	}
	populate := how == toWrite && s.fileSize() <= populateMost && strings.HasPrefix(s.path, sharedMemory)
	if s.words, err = mapFile(s.fd, s.fileSize(), how != toLook, populate); err != nil {
		return failed(name, err, "cannot be mapped: %v", err)
	}
	return nil
}

func isTrusted(user int, trust []int) bool {
	for _, it := range append([]int{0, os.Geteuid()}, trust...) {
		if it == user {
			return true
		}
	}
	return false
}

func (s *segment) loadSchema(header words) error {
	length := header.load(atSchemaLen)
	if length > schemaMax {
		return fmt.Errorf("a schema has at most %d bytes, and not %d", schemaMax, length)
	}
	text := make([]byte, schemaMax)
	header.out(text, atSchema)
	schema, err := ParseSchema(string(text[:length]), int(s.Columns()))
	if err != nil {
		return err
	}
	if (schema.Body != NoBody) != (s.Arena != 0) {
		return errors.New("it has a body and no arena, or an arena and no body")
	}
	s.schema = schema
	return nil
}

// claim takes the claim on the word at a place.
func (s *segment) claim(at uint64, role string) (claim, error) {
	fd, err := openFile(s.path, true)
	if err != nil {
		return claim{}, failed(s.name, err, "cannot be opened for the claim of the %s: %v", role, err)
	}
	var stat syscall.Stat_t
	if err = syscall.Fstat(fd, &stat); err == nil && (uint64(stat.Dev) != s.device || stat.Ino != s.inode) {
		err = failed(s.name, ErrNotFound, "the name has gone to another log meanwhile; open it again")
	}
	var taken claim
	if err == nil {
		taken, err = takeClaim(fd, at)
	}
	if err == nil {
		return taken, nil
	}
	_ = syscall.Close(fd)
	if err == errTaken {
		return claim{}, failed(s.name, ErrClaimed, "another process is the %s; stop it first", role)
	}
	return claim{}, err
}

func (s *segment) close() {
	if s.words != nil {
		_ = unmap(s.words)
		s.words = nil
	}
	if s.fd >= 0 {
		_ = syscall.Close(s.fd)
		s.fd = -1
	}
}

// again opens the same log once more.
func (l *Log) again(how access) (*segment, error) {
	if l.words == nil {
		return nil, failed(l.name, ErrClosed, "it was closed; open it again")
	}
	s, err := openSegment(l.name, l.trust, how)
	if err == nil && (s.device != l.device || s.inode != l.inode) {
		s.close()
		return nil, failed(l.name, ErrNotFound, "the name has gone to another log meanwhile; open it again")
	}
	return s, err
}

// Close lets go of the log. Its readers, observers and writers have mappings of their own, and go on.
func (l *Log) Close() error {
	l.close()
	return nil
}

// Name returns the name that it was opened by.
func (l *Log) Name() string { return l.name }

// Schema returns what its records are made of.
func (l *Log) Schema() *Schema { return l.schema }

// Geometry returns its sizes.
func (l *Log) Geometry() Geometry { return l.segment.Geometry }

// ID returns the random number that it was made with, as 32 hexadecimal digits.
func (l *Log) ID() string { return fmt.Sprintf("%016x%016x", l.id[0], l.id[1]) }

// Gates returns the readers that its writer waits for.
func (l *Log) Gates() []int {
	var gates []int
	for id := range Readers {
		if l.gates>>id&1 == 1 {
			gates = append(gates, id)
		}
	}
	return gates
}

// HasWriter returns whether a living process is its writer.
func (l *Log) HasWriter() bool { return l.words != nil && isClaimed(l.fd, atWritePtr) }

// Remove removes the log of a name. What has it open goes on with what it has.
func Remove(name string) error {
	err := os.Remove(pathOf(name))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return failed(name, ErrNotFound, "no such log")
	case err != nil:
		return failed(name, err, "cannot be removed: %v", err)
	}
	return nil
}
